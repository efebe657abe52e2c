"""The embedded job in small, as tests run it."""

import contextlib
import io
from pathlib import Path

from paul_plugin.commands import train

PROJECT = Path(__file__).parents[2]


def run_embedded_job(root: Path, folder: Path, *words: str) -> Path:
    """One epoch of the embedded job on the rendered data; returns the folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        train.main([
            '--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '--root', str(root),
            'data.save_dir', str(folder), 'data.workers', '0', 'data.height', '64', 'data.width', '48',
            'train.max_epoch', '1', 'train.batch_size', '16',
            'paul.k', '3', 'train.seed', '5', 'paul.pretrain.config', '',
            'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
            *words,
        ])  # fmt: skip
    return folder
