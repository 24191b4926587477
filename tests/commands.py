"""What commands of the package are asked to do, whichever they are."""

import signal
import subprocess


def assert_ends_with_its_reader(process: "subprocess.Popen[bytes]", first_line: bytes) -> None:
    """Read how the first line of a command begins, leave, and assert that the command ends without a word."""
    assert process.stdout is not None
    assert process.stdout.readline().startswith(first_line)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == -signal.SIGPIPE
