"""Where everything is: every path of records, logs, tables and figures, relative to the folder that bnpipe runs in.

The rules and the command that watches a grid both take their paths from here.
"""

from dataclasses import dataclass

from bnpipe.grid.stacks import Kind, Stack

# With the wildcards that `Stack.wildcards` fills in.
_RECORDS: dict[Kind, str] = {
    "condition": "runs/{condition}/{arm}/seeds-{chunk}.safetensors",
    "study": "studies/{study}/runs/{stack}.safetensors",
}
_TRAINING_LOGS: dict[Kind, str] = {
    "condition": "train/{condition}/{arm}/seeds-{chunk}",
    "study": "studies/{study}/{stack}",
}


@dataclass(frozen=True)
class Layout:
    """The paths of one data set. Those with wildcards in braces are Snakemake's patterns."""

    dataset: str  # its name in paths

    @property
    def packed(self) -> str:
        """The packed images and labels."""
        return f"resources/{self.dataset}/packed.safetensors"

    def results(self, path: str) -> str:
        """Return a path below the folder of results."""
        return f"results/{self.dataset}/{path}"

    def logs(self, path: str) -> str:
        """Return a path below the folder of logs."""
        return f"logs/{self.dataset}/{path}"

    def table(self, name: str) -> str:
        """Return the path of a table that is not a study's."""
        return self.results(f"tables/{name}.csv")

    def study_table(self, study: str, name: str) -> str:
        """Return the path of a table of a study."""
        return self.results(f"studies/{study}/{name}.csv")

    def figure(self, name: str) -> tuple[str, str]:
        """Return the two files of a figure: SVG for the page, PNG for slides."""
        return self.results(f"figures/{name}.svg"), self.results(f"figures/{name}.png")

    def record_pattern(self, kind: Kind) -> str:
        """Return the paths of run records, with wildcards."""
        return self.results(_RECORDS[kind])

    def training_log_pattern(self, kind: Kind, suffix: str = "log") -> str:
        """Return the paths of the logs of training jobs, with wildcards."""
        return self.logs(f"{_TRAINING_LOGS[kind]}.{suffix}")

    def record(self, stack: Stack) -> str:
        """Return the path of a stack's run record."""
        return self.record_pattern(stack.kind).format(**stack.wildcards)

    def training_log(self, stack: Stack) -> str:
        """Return the path of the log of the job that trains a stack."""
        return self.training_log_pattern(stack.kind).format(**stack.wildcards)
