import pytest

from bnpipe.core.errors import InputError, printable


def test_every_line_of_a_message_is_an_error_on_the_terminal() -> None:
    assert InputError("seeds: unknown\nsteps: unknown").for_terminal() == "error: seeds: unknown\nerror: steps: unknown"


@pytest.mark.parametrize(("key", "shown"), [("seeds", "seeds"), (3, "3"), ("two\nlines", r"'two\nlines'")])
def test_a_key_never_breaks_a_line(key: object, shown: str) -> None:
    assert printable(key) == shown
