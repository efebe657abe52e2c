"""What torchrun tells a process by its environment, before the processes know each other."""

import os

from .errors import UserError, show

_WAY_OUT = 'start the processes with torchrun, or unset RANK and WORLD_SIZE'


def launched() -> bool:
    """Whether torchrun started this process; it says so by the environment."""
    return 'RANK' in os.environ and 'WORLD_SIZE' in os.environ


def refusal(text: str) -> UserError:
    """An error that this process says, even if it is not the first: the others need not have met it."""
    error = UserError(text)
    error.of_one_process = True
    return error


def _number(name: str) -> int:
    text = os.environ.get(name, '0')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise refusal(f'the environment says {name}={show(text)}, expected a whole number: {_WAY_OUT}')
    return int(text)


def number_launched() -> int:
    """How many processes torchrun started.

    Raises:
        UserError: if the environment is not one that torchrun makes.
    """
    if not launched():
        return 1
    number, world = _number('RANK'), _number('WORLD_SIZE')
    if number >= world:
        raise refusal(f'the environment says RANK={number}, WORLD_SIZE={world}, expected a lower RANK: {_WAY_OUT}')
    return world


def local_rank() -> int:
    """This process' number among those of its machine."""
    return _number('LOCAL_RANK')


def meeting_point() -> str:
    """`ADDRESS:PORT`, where the processes meet.

    Raises:
        UserError: if the environment does not name it.
    """
    missing = [name for name in ('MASTER_ADDR', 'MASTER_PORT') if not os.environ.get(name)]
    if missing:
        raise refusal(f'the environment has RANK and WORLD_SIZE, but no {" and no ".join(missing)}: {_WAY_OUT}')
    return f'{os.environ["MASTER_ADDR"]}:{_number("MASTER_PORT")}'


def first_of_machine() -> bool:
    """Whether this is the first of the processes that torchrun started on this machine, or the only one.

    It is asked for when an error is to be printed, and so raises none: who is nobody's second, is the first.
    """
    try:
        return not launched() or _number('LOCAL_RANK' if 'LOCAL_RANK' in os.environ else 'RANK') == 0
    except UserError:
        return True


def attempt() -> int:
    """How often torchrun has started the processes again, after one had died (`--max-restarts`)."""
    return _number('TORCHELASTIC_RESTART_COUNT')
