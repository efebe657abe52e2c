"""Published weights: the table of those that can be had by name, and their fetching, once, into torch's cache."""

import io
import os
from pathlib import Path
from typing import NamedTuple

import gdown
import torch

from ..runtime import stopping
from ..runtime.errors import UserError, nearest, printable, reason
from ..runtime.files import scratch_folder
from .reading import read_checkpoint


class Published(NamedTuple):
    """A published weight file: where it is, and what it holds."""

    address: str
    about: str


# Name, as `model.load_weights` takes it -> file. The authors name neither size nor hash: that it can be read is all
# that shows that it is whole.
PUBLISHED = {
    'paul_msmt17_release': Published(
        address='https://drive.google.com/uc?id=1KKzR0CoGPmEq00Aw-evH5odOAlwxuwX8',
        about="the authors' PatchNet (ResNet-50), pre-trained with labels on MSMT17",
    ),
}
_TIMEOUT = (30, 60)  # seconds to connect, and between bytes


def cache_path(name: str) -> Path:
    """Where the file of this name lies, or will, in torch's cache."""
    return Path(torch.hub.get_dir(), 'checkpoints', f'{name}.pth')


def resolve(text: str) -> str:
    """The file that `model.load_weights` means: a published one is fetched, a path is left as it is.

    Raises:
        UserError: for a name that is not published, or weights that cannot be fetched.
    """
    if text not in PUBLISHED:
        is_name = Path(text).name == text and '.' not in text
        if not text or not is_name or os.path.exists(text):
            return text
    return str(fetch(text))


def to_fetch(text: str) -> Path | None:
    """Where the published file that `model.load_weights` means would be put; None if it means another, or is there.

    Example:
        >>> to_fetch('paul_msmt17_release')
        PosixPath('/home/anna/.cache/torch/hub/checkpoints/paul_msmt17_release.pth')
    """
    path = cache_path(text) if text in PUBLISHED else None
    return None if path is None or path.is_file() else path


def fetch(name: str) -> Path:
    """The published file of this name, from torch's cache, or fetched into it.

    Raises:
        UserError: one line, for an unknown name, or if the file cannot be fetched.
        Stopped: if the run was asked to stop meanwhile.
    """
    if name not in PUBLISHED:
        raise UserError(
            f'unknown weights {name!r}{nearest(name, PUBLISHED)}: expected one of {", ".join(PUBLISHED)}, '
            f'or a file (one in this folder: ./{printable(name)})'
        )
    path = cache_path(name)
    if path.is_file():
        return path
    try:
        download(PUBLISHED[name], path)
    except Exception as error:  # gdown, the connection and the disk fail in many ways
        stopping.check()
        raise UserError(
            f'cannot fetch {name} from {PUBLISHED[name].address} ({_reason(error)}): '
            f'get the file in another way, such as a browser, and put it at {printable(path)}'
        ) from None
    return path


def download(published: Published, path: Path) -> None:
    """Downloads to a path, where nothing appears before the file is whole and checked.

    Raises:
        UserError: if what came holds no weights.
        Stopped: if the run was asked to stop.
        Exception: gdown's, the connection's and the disk's own.
    """
    with scratch_folder(path) as folder:
        partial = folder / path.name
        # A stream: beside a path gdown would leave what it got of a broken download, and say so.
        with _Stoppable(partial.open('wb', buffering=0)) as stream:
            words = {'start': f'Fetching {published.about}\n', 'output': f'To: {printable(path)}\n'}
            gdown.download(published.address, stream, log_messages=words, timeout=_TIMEOUT)
        try:
            read_checkpoint(partial)
        except UserError as error:
            raise UserError(str(error).replace(printable(partial), 'what came')) from None
        os.replace(partial, path)


class _Stoppable(io.BufferedWriter):
    """A file that takes nothing more once the run is asked to stop."""

    def write(self, content: bytes) -> int:
        stopping.check()
        return super().write(content)


def _reason(error: Exception) -> str:
    """An error in one line, not too long; of a chain, which the connection's errors are, the last link."""
    before, _, cause = str(error).rpartition('(Caused by ')
    text = reason(cause.removesuffix(')') if before else cause) or type(error).__name__
    return text if len(text) <= 250 else f'{text[:250]}...'
