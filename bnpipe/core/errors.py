"""The one exception that means: the input is at fault, and its message is meant for the user."""


class InputError(Exception):
    """Bad input: a configuration, a data file or a record that cannot be used.

    The message is one line (or one for each mistake of several). It names the key or file, what was found, what
    is permitted, and what to do.
    """

    def for_terminal(self) -> str:
        """Return the message as a user is shown it: each line begins with 'error: '."""
        return "\n".join(f"error: {line}" for line in str(self).splitlines())


def printable(key: object) -> str:
    """Return a key as it may stand in a line: as it is, or, with line breaks and the like, quoted."""
    return str(key) if str(key).isprintable() else repr(key)
