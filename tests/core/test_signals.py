import signal
from types import FrameType

from bnpipe.core.signals import STOPS, handling


def test_a_closed_terminal_stops_as_a_scheduler_does() -> None:
    assert set(STOPS) == {signal.SIGTERM, signal.SIGHUP}


def test_signals_are_handled_within_the_block_alone() -> None:
    heard: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)

    before = signal.getsignal(signal.SIGHUP)
    with handling(STOPS, hear):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGHUP, signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handling(STOPS, lambda *_: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
