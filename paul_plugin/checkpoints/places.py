"""The names of a run's checkpoints, and which of them is its model."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

BEST = 'model-best.pth.tar'  # torchreid's names, this one and `model.pth.tar-EPOCH`
KEPT = 'kept.pth.tar'  # what the run recommends, of whichever epoch


def place(name: str) -> tuple[int, int] | None:
    """The epochs that are done, and the steps of the next one, by a checkpoint's name; None for another file's."""
    match = re.fullmatch(r'model\.pth\.tar-(\d+)(?:-(\d+))?', name, re.ASCII)
    return (int(match[1]), int(match[2] or 0)) if match else None


def newest_first(names: Iterable[str]) -> list[str]:
    """The checkpoints among the names of files."""
    return sorted(filter(place, names), key=place, reverse=True)


def model_in(folder: str | Path) -> Path | None:
    """The model in a run's folder or its folder `model`: the kept one, or the newest checkpoint; None without any."""
    for inner in (Path(folder, 'model'), Path(folder)):
        try:
            names = os.listdir(inner)
        except OSError:
            continue
        found = KEPT if KEPT in names else next(iter(newest_first(names)), None)
        if found:
            return inner / found
    return None
