"""Ctrl-C and SIGTERM: asked once, a run stops at the next safe place; asked twice, at once."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class Stopped(Exception):
    """The run stops as it was asked to; `status` is the exit status that says so."""

    def __init__(self, number: int) -> None:
        super().__init__(f'stopped by {signal.Signals(number).name}')
        self.status = 128 + number


def _receive(number: int, frame) -> None:
    # os.write: the signal may have come in the middle of a print.
    if _received:
        os.write(2, b'stopped at once\n')
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(128 + number)
    _received.append(number)
    os.write(2, b'stopping at the next safe place; once more stops at once\n')


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within it, a signal is noted instead of breaking in; use it in the main thread."""
    before = {number: signal.signal(number, _receive) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.clear()


def check() -> None:
    """A safe place to stop.

    Raises:
        Stopped: if the run was asked to.
    """
    if _received:
        raise Stopped(_received[0])


@contextmanager
def instead_of_errors() -> Iterator[None]:
    """A signal to the whole process group kills the workers of a data loader, whose error is then not the news."""
    try:
        yield
    except RuntimeError:
        check()
        raise
