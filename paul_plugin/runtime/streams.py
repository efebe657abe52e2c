"""The standard streams of a process that are not there, or whose reader or disk is gone."""

import contextlib
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Gives a process that was started without one of its standard streams (`>&-`) one that leads nowhere.

    Else the next file that it opens gets the stream's number, and what libraries print goes into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number: this one
            os.set_inheritable(nowhere, True)
    for name, mode in (('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w')):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # for the life of the process


def lead_nowhere(stream: TextIO) -> None:
    """From now on, what is written to a stream is gone, also what it still holds: its next error would be the same."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
