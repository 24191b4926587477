"""The names of files on pages and in provenance.json: the same wherever the workflow runs."""

_FOLDERS = ("results", "resources", "logs")


def portable(path: str, dataset: str) -> str:
    """Return a path of a data set's files as it is below the folder that bnpipe runs in by itself.

    A module's prefix, a storage plugin or an absolute path puts something before that. Other paths are returned as they
    are. dataset: its name in paths.
    """
    starts = [f"/{path}".rfind(f"/{folder}/{dataset}/") for folder in _FOLDERS]
    return path[max(starts) :] if max(starts) >= 0 else path
