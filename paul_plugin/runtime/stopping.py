"""Ctrl-C and SIGTERM: asked once, a run stops at the next safe place; asked twice, at once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import launch, processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class Stopped(Exception):
    """The run stops as it was asked to; `status` is the exit status that says so."""

    def __init__(self, number: int) -> None:
        super().__init__(f'stopped by {signal.Signals(number).name}')
        self.status = 128 + number


def _receive(number: int, frame) -> None:
    # os.write: the signal may have come in the middle of a print. torchrun repeats what it and all of its processes
    # got from Ctrl-C, and ends by itself those that do not stop in 30 seconds.
    if _received and launch.launched():
        return
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


def requested() -> bool:
    """Whether this process was asked to stop; of several, one may know it before the others."""
    return bool(_received)


def check_together() -> None:
    """`check` in a distributed run: all processes call it, and stop if one of them was asked to.

    Raises:
        Stopped: if the run was asked to.
    """
    if processes.any_of(requested()):
        raise Stopped(_received[0] if _received else signal.SIGTERM)


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


@contextmanager
def deaths_of_workers_later() -> Iterator[None]:
    """Puts off the news that a data loader's worker has died to the end of a block that must not be torn.

    torch raises it in a signal handler, so it breaks in anywhere.
    """
    number = getattr(signal, 'SIGCHLD', None)  # which Windows lacks
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler, received = signal.getsignal(number), []
    signal.signal(number, lambda *news: received.append(news))
    try:
        yield
    finally:
        signal.signal(number, handler)
    if received and callable(handler):
        handler(*received[0])
