"""Checks that apply to every command of the package."""

import signal
import subprocess


def assert_ends_with_its_reader(process: "subprocess.Popen[bytes]", first_line: bytes) -> None:
    """Read the beginning of a command's first line, close the pipe, and assert that the command ends silently."""
    assert process.stdout is not None
    assert process.stdout.readline().startswith(first_line)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == -signal.SIGPIPE
