"""The curves of runs, each called by the shortest end of its path that no other has."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..figures.curves import draw_curves
from ..run.record import read_run
from ..runtime.errors import UserError


def curves_of(paths: Sequence[str | Path]) -> Image.Image:
    """The curves of the runs in these folders, each called by the shortest end of its path that no other has.

    Raises:
        UserError: if a folder is not there, none holds a history, or matplotlib is missing.

    Example:
        >>> curves_of(['log/pedal', 'log/ipfl']).save('curves.png')
    """
    folders = list(dict.fromkeys(Path(path).resolve() for path in paths))
    runs = [(name, *read_run(folder)) for name, folder in zip(_unique_names(folders), folders, strict=True)]
    if not any(history for _, history, _ in runs):
        where = ' or '.join(str(folder / 'history.json') for folder in folders)
        raise UserError(f'no epoch in {where}: name the folder (data.save_dir) of a run that has trained an epoch')
    return draw_curves(runs)


def _unique_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of different absolute paths, as many as tell them apart."""
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ['/'.join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names
