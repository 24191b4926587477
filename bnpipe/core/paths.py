"""File names for pages and provenance.json, which are the same wherever the workflow runs."""

_FOLDERS = ("results", "resources", "logs")


def portable(path: str, dataset: str) -> str:
    """Return the path of a file of a data set relative to the folder that bnpipe runs in.

    This removes what a module's prefix, a storage plugin or an absolute path puts before it. Other paths are returned
    unchanged. dataset: its name in paths.
    """
    starts = [f"/{path}".rfind(f"/{folder}/{dataset}/") for folder in _FOLDERS]
    return path[max(starts) :] if max(starts) >= 0 else path
