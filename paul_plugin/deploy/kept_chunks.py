"""What an extraction keeps until its file is whole: a file for each chunk of images, which tells what it is of."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime.errors import UserError, printable
from ..runtime.files import file_of_user
from .centred import centred_blocks


def digest_of(manifest: dict) -> str:
    """Tells the descriptors of one extraction, by its model, images, chunks and runtime, from those of another."""
    return hashlib.sha256(json.dumps([_VERSION, manifest], sort_keys=True).encode()).hexdigest()


_VERSION = 2  # of what is kept: descriptors of length 1


class Kept(NamedTuple):
    """The chunks of one extraction.

    Attributes:
        digest: of its manifest, which each file carries.
        files: of the chunks, in order, there or not.
    """

    digest: str
    files: Sequence[Path]

    def has(self, file: Path) -> bool:
        """Whether a chunk is there, and of this extraction; one of another, or of an earlier version, is made again."""
        return file.exists() and self._load(file, 'manifest', '') == self.digest

    def save(self, file: Path, descriptors: np.ndarray, left_out: dict[str, str]) -> None:
        """Keeps a chunk: its descriptors, (n, E), and what is left out of it, path -> reason."""
        with file_of_user(file, '; what is done is kept, the same command goes on') as out:
            np.savez(out, descriptors=descriptors, left_out=json.dumps(left_out), manifest=self.digest)

    def left_out(self) -> dict[str, str]:
        """What all chunks leave out: path -> reason."""
        left_out = {}
        for file in self.files:
            left_out |= json.loads(self._own(file, 'left_out').item())
        return left_out

    def blocks(self, cameras: Sequence[str]) -> Iterator[np.ndarray]:
        """The descriptors of all chunks, without the mean of their camera if those are given, that of each image."""

        def read() -> Iterator[np.ndarray]:
            return (self._own(file, 'descriptors') for file in self.files)

        return centred_blocks(read, cameras) if cameras else read()

    def _own(self, file: Path, name: str) -> np.ndarray:
        if self._load(file, 'manifest') != self.digest:
            raise UserError(f'{printable(file)} was written by another extraction meanwhile: give the command again')
        return self._load(file, name)

    def _load(self, file: Path, name: str, default: object = None) -> np.ndarray:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return arrays[name] if default is None or name in arrays else np.array(default)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            raise UserError(f'{printable(file)} is damaged: delete it, the same command makes it again') from None
