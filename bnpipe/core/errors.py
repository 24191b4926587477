"""The one exception that means that the input is at fault; its message is for the user."""


class InputError(Exception):
    """Bad input: a configuration, a data file or a record that cannot be used.

    The message is one line, or one line for each of several mistakes. It names the key or file, and says what is
    expected, what is there instead, and what to do.
    """

    def for_terminal(self) -> str:
        """Return the message as the terminal shows it: each line begins with 'error: '."""
        return "\n".join(f"error: {line}" for line in str(self).splitlines())


def printable(key: object) -> str:
    """Return a key in a form that fits into a line: quoted if it has line breaks or the like, otherwise unchanged."""
    return str(key) if str(key).isprintable() else repr(key)
