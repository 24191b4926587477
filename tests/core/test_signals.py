import os
import signal
from collections.abc import Iterator

import pytest

from bnpipe.core.signals import STOPS, handling


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_job_is_stopped_by_its_scheduler_and_by_a_closed_terminal() -> None:
    assert set(STOPS) == {signal.SIGTERM, signal.SIGHUP}


@pytest.mark.parametrize("fault", [None, KeyError])
def test_signals_are_handled_within_the_block_and_as_before_after_it(fault: type[Exception] | None) -> None:
    before = [signal.getsignal(number) for number in STOPS]
    seen: list[int] = []
    try:
        with handling(STOPS, lambda number, _: seen.append(number)):
            for number in STOPS:
                os.kill(os.getpid(), number)
            if fault is not None:
                raise fault
    except KeyError:
        pass
    assert seen == list(STOPS)
    assert [signal.getsignal(number) for number in STOPS] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen: list[int] = []
    with handling(STOPS, lambda number, _: seen.append(number)):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
