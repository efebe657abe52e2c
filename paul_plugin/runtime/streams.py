"""The standard streams of a process that are not there, or whose reader or disk is gone."""

import contextlib
import os
import sys
from typing import TextIO


def prepare() -> None:
    """Makes the standard streams fit for a program that must not die of what it prints; to be called first.

    A stream that is closed (`>&-`) gets one that leads nowhere. Else the next file that the process opens gets the
    stream's number, and what libraries print goes into that file. A character that the output's encoding lacks is
    written as its code.
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
        elif mode == 'w' and hasattr(getattr(sys, name), 'reconfigure'):
            getattr(sys, name).reconfigure(errors='backslashreplace')


def lead_nowhere(stream: TextIO) -> None:
    """From now on, what is written to a stream is gone, also what it still holds: its next error would be the same."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
