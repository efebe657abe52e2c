"""A run of two epochs that is killed, within this process, and gone on with."""

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint


class Crash(Exception):
    """Stands for a kill within this process."""


RUN = {'max_epoch': 2, 'print_freq': 1, 'dist_metric': 'cosine', 'eval_freq': 1}


def resumed(engine, folder, **run):
    """Goes on from the newest checkpoint of the folder; returns the final checkpoint's content."""
    path, checkpoint = CheckpointFolder(folder / 'model').read_newest()
    engine.run(save_dir=str(folder), start_epoch=engine.resume(checkpoint), **{**RUN, **run})
    return final(folder)


def final(folder):
    return read_checkpoint(folder / 'model/model.pth.tar-2')
