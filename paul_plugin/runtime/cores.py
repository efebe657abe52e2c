"""How many cores of the machine this process may use."""

import os


def cores() -> int:
    """The cores that the system lets this process use, which may be fewer than the machine has; at least 1."""
    # Windows and macOS tell the machine's alone.
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
