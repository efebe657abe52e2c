"""What each epoch of a run gave, as `history.json` in its folder: written as it grows, and again by who goes on."""

import json
from pathlib import Path

from ...runtime import processes
from ...runtime.files import write_atomically

HISTORY = 'history.json'


def write_record(engine, name: str, entries: list[dict]) -> None:
    """Writes what is recorded into the run's folder, the first process does; without entries an earlier file goes."""
    if engine.folder is None or not processes.is_first():
        return
    path = Path(engine.folder.path.parent, name)
    if entries:
        write_atomically(json.dumps(entries, indent=1) + '\n', path)
    else:
        path.unlink(missing_ok=True)


def write_history(engine) -> None:
    """Writes the engine's history; before an epoch is done the file of an earlier run goes."""
    write_record(engine, HISTORY, engine.history)
