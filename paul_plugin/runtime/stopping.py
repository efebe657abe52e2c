"""What asks a run to stop: signals and streams that fail. Asked once, it stops at the next safe place.

torch is imported where it is needed: what only reads a command line does not.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from . import launch

# Ctrl-C, what job schedulers send, and what a terminal sends that is closed; Windows lacks the last.
SIGNALS = tuple(getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name))
_SECONDS_OF_ECHO = 2.0  # in which torchrun passes on to its processes what they got from Ctrl-C themselves
_asked: list[tuple[str, int]] = []  # causes and exit statuses
_watches: list[threading.Thread] = []


class Stopped(Exception):
    """The run stops as it was asked to; `status` is the exit status that says so."""

    def __init__(self, cause: str, status: int) -> None:
        super().__init__(f'stopped by {cause}')
        self.status = status


def request(cause: str, status: int) -> None:
    """Asks this process to stop at the next safe place, for the first cause of all that are named.

    Args:
        cause: what follows on `stopped by`.
        status: the exit status.
    """
    _asked.append((cause, status))


def _say(text: str) -> None:
    # os.write: a signal may have come in the middle of a print. The error stream may be that of a closed terminal.
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def _receive(number: int, frame) -> None:
    request(signal.Signals(number).name, 128 + number)


def _end_at_once(number: int) -> None:
    _say('stopped at once\n')
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(128 + number)


def _watch(reader: socket.socket) -> None:
    """Ends the process at the second signal, whatever the main thread waits for; a byte 0 ends the watch.

    Python calls the handlers of signals in the main thread, and not while that waits for another process in a call of
    C++. What it writes to this socket comes at once.
    """
    first = None
    while True:
        for number in reader.recv(1024):
            if number == 0:
                return
            if number not in SIGNALS:  # such as that of a worker's end
                continue
            if first is None:
                first = time.monotonic()
                _say('stopping at the next safe place; once more stops at once\n')
            elif not launch.launched() or time.monotonic() - first > _SECONDS_OF_ECHO:
                _end_at_once(number)


def _in_forked_process() -> None:
    # A worker of a data loader would tell its parent's watch of the worker's own signals.
    if _watches:
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_in_forked_process)


@contextmanager
def _watched() -> Iterator[None]:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watch = threading.Thread(target=_watch, args=(reader,), daemon=True)
        watch.start()
        _watches.append(watch)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            _watches.remove(watch)
            writer.setblocking(True)
            writer.send(b'\0')
            watch.join()


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within it, a signal is noted instead of breaking in; use it in the main thread.

    SIGHUP is left alone where `nohup` has told the process to ignore it.
    """
    from torch.utils.data._utils import signal_handling

    # torch would raise the loss of a loader's worker from its handler of SIGCHLD, in the middle of whatever runs then,
    # such as a step or a clean-up. Without it, the loader says it when the next images are asked for.
    signal_handling._SIGCHLD_handler_set = True
    hung_up = signal.getsignal(signal.SIGHUP) if hasattr(signal, 'SIGHUP') else None
    taken = SIGNALS[:2] if hung_up == signal.SIG_IGN else SIGNALS
    with _watched():
        before = {number: signal.signal(number, _receive) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            _asked.clear()


def requested() -> bool:
    """Whether this process was asked to stop; of several, one may know it before the others."""
    return bool(_asked)


def check_together() -> None:
    """`check` in a distributed run: all processes call it, and stop if one of them was asked to.

    Raises:
        Stopped: if the run was asked to.
    """
    from . import processes

    if processes.any_of(requested()):
        check()
        raise Stopped('another process of this run', 128 + signal.SIGTERM)


def check() -> None:
    """A safe place to stop.

    Raises:
        Stopped: if the run was asked to.
    """
    if _asked:
        raise Stopped(*_asked[0])


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
