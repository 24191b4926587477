"""Signals that tell a process to stop."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

# A scheduler sends SIGTERM. A terminal that is closed sends SIGHUP, which Windows lacks.
STOPS = tuple(number for number in signal.Signals if number.name in ("SIGTERM", "SIGHUP"))


@contextmanager
def handling(signals: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle signals within the block, except those that are ignored, as SIGHUP is under `nohup`."""
    before = {number: signal.getsignal(number) for number in signals}
    heard = [number for number, old in before.items() if old is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
