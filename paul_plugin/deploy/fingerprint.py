"""Which model descriptors are of: what tells one model's from another's, kept beside them in their file."""

import hashlib
from pathlib import Path

from torch import nn

from ..method.patchnet import HEADS
from ..run.trained import Trained
from ..runtime.errors import UserError, printable
from .descriptor_file import read_meta


def fingerprint(trained: Trained) -> dict:
    """What tells the descriptors of one model from those of another."""
    data = trained.cfg.data
    return {
        'model': trained.cfg.model.name,
        'weights': _digest_of_weights(trained.model),
        'height': data.height,
        'width': data.width,
        'mean': list(data.norm_mean),
        'std': list(data.norm_std),
        'dim': trained.model.feature_dim,
        **({'stretch': True} if data.stretch else {}),  # files from before there was a choice are without it
    }


def check_fingerprint(path: str | Path, trained: Trained) -> None:
    """Refuses a file of descriptors that cannot be compared with those of a model.

    Raises:
        UserError: if it cannot be read, or its descriptors are of another model or of images of another size,
            or lack the mean of their camera.
    """
    meta = read_meta(path)
    if meta.get('centred_cameras'):
        raise UserError(
            f'{printable(path)} holds descriptors without the mean of their camera, which no query and no threshold '
            'fits: make it again without --centre-cameras; a search by paul visualize ranking has that option itself'
        )
    own = fingerprint(trained)
    if any(meta.get(key) != value for key, value in {'stretch': None, **own}.items()):
        dim = meta['dim']
        reduced = f'; if it was made by --dim {dim}, take reduce_dimension(model, {dim})' if dim < own['dim'] else ''
        raise UserError(
            f'{printable(path)} holds descriptors of {dim} numbers of another model than {printable(trained.path)}, or '
            f'of images of another size: make it again from this one{reduced}'
        )


def _digest_of_weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if not set(HEADS).isdisjoint(name.split('.')):
            continue  # random where the file lacks them
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy())
    return digest.hexdigest()
