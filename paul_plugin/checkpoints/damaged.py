"""Files that are damaged, told from those that cannot be read now."""

from pathlib import Path

from ..runtime.errors import UserError, is_out_of_memory, printable


class Damaged(UserError):
    """A file that can be read and is none of torch's, of safetensors or of ONNX, or no whole one."""


def refuse_unreadable(path: str | Path, error: Exception) -> None:
    """Refuses a file that cannot be read now, which an error met in reading it does not tell from a damaged one.

    Raises:
        UserError: for want of memory, or if not all its bytes can be read.
    """
    if is_out_of_memory(error):
        raise UserError(f'not enough memory to read {printable(path)}') from None
    try:
        with open(path, 'rb') as file:
            while file.read(1 << 20):
                pass
    except OSError as failed:
        raise UserError(f'cannot read {printable(path)}: {failed.strerror}') from None
