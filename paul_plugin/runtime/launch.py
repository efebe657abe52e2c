"""What torchrun tells a process by its environment, before the processes know each other."""

import os


def launched() -> bool:
    """Whether torchrun started this process; it says so by the environment."""
    return 'RANK' in os.environ and 'WORLD_SIZE' in os.environ


def number_launched() -> int:
    """How many processes torchrun started."""
    return int(os.environ['WORLD_SIZE']) if launched() else 1


def first_of_machine() -> bool:
    """Whether this is the first of the processes that torchrun started on this machine, or the only one."""
    return int(os.environ.get('LOCAL_RANK', os.environ['RANK'])) == 0 if launched() else True


def attempt() -> int:
    """How often torchrun has started the processes again, after one had died (`--max-restarts`)."""
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0))
