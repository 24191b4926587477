"""Where the configuration comes from: files, and values on the command line that replace some of theirs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnpipe.core.errors import InputError
from bnpipe.core.secrets import mask, mask_values
from bnpipe.core.yaml_files import Unquoted, YamlFile, mapped, parse_yaml, read_yaml_file
from bnpipe.grid.mistakes import locate

OWN_FILE = Path("config.yaml")
COMMAND_LINE = Path("--config")  # instead of the path of a file


@dataclass(frozen=True)
class Given:
    """The values of a configuration, and the files that they come from, in the order in which they were read."""

    values: Any
    files: Sequence[YamlFile] = ()

    @contextmanager
    def place_of(self, key: str) -> Iterator[None]:
        """Within the block, begin each InputError with the place of this key of the configuration."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{locate((key,), self.values, self.files)}: {error}") from error


def read_given(others: Sequence[Path] = (), entries: Iterable[str] = (), replace: bool = False) -> Given:
    """Read config.yaml, other files and the command line, and merge them in this order, as Snakemake does.

    others: files whose values replace those of config.yaml, which may be missing if there are any. entries: KEY=VALUE,
    each value in YAML. replace: whether to ignore config.yaml if the others or the entries have any value. Raises
    InputError if a file or a value cannot be read or is not YAML, or if a file does not hold a mapping.
    """
    own = [OWN_FILE] if OWN_FILE.exists() or not others else []
    files = [_read_mapping(path) for path in [*own, *others]]
    files.append(YamlFile(COMMAND_LINE, _read_entries(entries), {}))
    if replace and own and any(file.values for file in files[1:]):
        del files[0]
    values: dict[str, Any] = {}
    for file in files:
        values = _merged(values, file.values)
    return Given(values, files)


def _read_mapping(path: Path) -> YamlFile:
    file = read_yaml_file(path)
    if not isinstance(file.values, Mapping):
        got = "an empty file" if file.values is None else repr(mask_values(file.values))[:80]
        raise InputError(f"{path}: expected a mapping (a line 'key: value' for each entry), got {got}")
    return file


def _read_entries(entries: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals:
            raise InputError(f"{COMMAND_LINE}: expected KEY=VALUE, got {mask(entry)!r}")
        value, _ = parse_yaml(text, f"{COMMAND_LINE} {key}", numbered=False)
        values = _merged(values, {key: mapped(value, _read_none)})
    return values


def _read_none(value: Any) -> Any:
    """Read None as null: values of a profile reach the command line as Python writes them."""
    return None if isinstance(value, Unquoted) and value == "None" else value


def _merged(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Replace values by others; mappings that both have are merged in the same way."""
    merged = dict(values)
    for key, value in others.items():
        before = merged.get(key)
        inside = before if isinstance(before, Mapping) else {}
        merged[key] = _merged(inside, value) if isinstance(value, Mapping) else value
    return merged
