"""Reading PatchNet's weights from a file: this project's checkpoints, torchreid's, those of the 2019 release, ONNX."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
import torchreid
from torch import Tensor, nn

from ..runtime.errors import UserError, printable
from ..runtime.files import NUMPY_SCALARS, Damaged, is_special, read_saved
from ..runtime.foreign import is_onnx
from ..runtime.safetensors_file import is_safetensors
from .head import directions, fits, head_of
from .norms import unmeasured
from .onnx_weights import read_onnx

# The release's names -> ours; a branch's Conv1x1 on a 1x1 map is a Linear here.
_RELEASE = (
    (r'new\.down\.(\d+)\.0\.', r'branches.\1.reduction.'),
    (r'new\.down\.(\d+)\.1\.', r'branches.\1.norm.'),
    (r'new\.fc_list\.', 'classifier.'),
    (r'new\.embedding\.', 'embedding.'),
    (r'patch_proposal\.fc_loc\.', 'pgn.regression.'),
    (r'patch_proposal\.', 'pgn.'),
)
# In a config as it is dumped; read as text, as the file is anyone's.
_NAME_IN_CONFIG = re.compile(r'^model:\n(?:  .*\n)*?  name: (\S{1,100})$', re.MULTILINE)
_REDUCTION = re.compile(r'branches\.\d+\.reduction\.weight')


class LoadedWeights(NamedTuple):
    """What `load_weights` did.

    Attributes:
        kind: `paul`, `release` or `torchreid`, as in `state_of`.
        loaded, missing: of the model, by its own names.
        left: of the file, by the file's names.
        adapted: whether the file is of a run of the unsupervised stage.
        unmeasured: of the model, the norms whose statistics the file, once of ONNX, does not tell: for `measure_norms`.
    """

    kind: str
    loaded: list[str]
    left: list[str]
    missing: list[str]
    adapted: bool
    unmeasured: list[str]


def read_checkpoint(path: str | Path) -> dict:
    """Reads a checkpoint file as data: nothing in it is executed. An ONNX file is read as one, see `read_onnx`.

    Raises:
        UserError: if the file is missing or cannot be read now.
        Damaged: if it is damaged, or holds something else than a dictionary.
    """
    if _is_onnx(path):
        return read_onnx(path)
    checkpoint = read_saved(path)
    if not isinstance(checkpoint, Mapping):
        raise Damaged(f'{printable(path)} holds a {type(checkpoint).__name__}, not a dictionary of weights')
    return dict(checkpoint)


def _is_onnx(path: str | Path) -> bool:
    """Whether a file is of ONNX; of one that cannot be read, another reader says why."""
    with contextlib.suppress(OSError, ValueError):
        return not is_special(path) and is_onnx(path)
    return False


def _refuse_model(path: str | Path, checkpoint: Mapping, state: Mapping[str, Tensor]) -> NoReturn:
    """Says which model's weights a file holds, if it tells; else what its first layers are called."""
    config = checkpoint.get('config')
    found = _NAME_IN_CONFIG.search(config) if isinstance(config, str) else None
    if found:
        name = printable(found[1])
        whose, way_out = f'of another model, {name}', f'set model.name {name}'
    else:
        layers = dict.fromkeys(key.removeprefix('backbone.').rpartition('.')[0] for key in state)
        first = printable(', '.join(list(layers)[:3]))[:200]
        whose, way_out = f'of another model, its first layers are {first}', 'set model.name to that model'
    raise UserError(f'{printable(path)} holds the weights {whose}: {way_out}, or name another file')


def load_host_weights(model: nn.Module, path: str | Path) -> None:
    """Loads a file into one of torchreid's own models by its own function, which leaves out what does not fit.

    Raises:
        UserError: one line, for a file that cannot be read or holds no weights or those of another model.
    """
    checkpoint = read_checkpoint(path)
    kind, state = state_of(checkpoint, path)
    own = {f'backbone.{key}': value.shape for key, value in model.state_dict().items()}
    fitting = sum(own.get(key) == value.shape for key, value in state.items())
    if kind != 'torchreid' or fitting < len(own) / 2:
        _refuse_model(path, checkpoint, state)
    for found, kind_of_file in ((is_safetensors, 'a safetensors'), (is_onnx, 'an ONNX')):
        if found(path):
            raise UserError(f"{printable(path)} is {kind_of_file} file, which torchreid's own models are not loaded "
                            'from: save its tensors with torch.save, and name that file')  # fmt: skip
    with torch.serialization.safe_globals(NUMPY_SCALARS):
        torchreid.utils.load_pretrained_weights(model, str(path))


def from_release(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The release's state dict (without `module.`) under our names and shapes."""
    renamed = {}
    for key, value in state.items():
        for pattern, ours in _RELEASE:
            key = re.sub(f'^{pattern}', ours, key)
        renamed[key] = value.flatten(1) if _REDUCTION.fullmatch(key) else value
    return renamed


def to_release(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the release's names and shapes, `module.` included."""
    renamed = {}
    for key, value in state.items():
        if _REDUCTION.fullmatch(key):
            value = value[:, :, None, None]
        key = re.sub(r'^branches\.(\d+)\.reduction\.', r'new.down.\1.0.', key)
        key = re.sub(r'^branches\.(\d+)\.norm\.', r'new.down.\1.1.', key)
        key = re.sub(r'^classifier\.', 'new.fc_list.', key)
        key = re.sub(r'^embedding\.', 'new.embedding.', key)
        key = re.sub(r'^pgn\.regression\.', 'patch_proposal.fc_loc.', key)
        key = re.sub(r'^pgn\.', 'patch_proposal.', key)
        renamed[f'module.{key}'] = value
    return renamed


def state_of(checkpoint: Mapping, path: str | Path) -> tuple[str, dict[str, Tensor]]:
    """The kind of a checkpoint (`paul`, `release` or `torchreid`) and its weights under PatchNet's names.

    Raises:
        UserError: if it holds no weights, or those of another kind of model.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f'{printable(path)} holds no weights (a dictionary of tensors, or one under state_dict)')
    for key, value in state.items():
        what = f'{printable(path)} holds'
        if not _is_plain(value):
            raise UserError(
                f'{what} {printable(key)} as a kind of tensor that no training saves: get the weights again'
            )
        if value.is_floating_point() and not (value.float() if value.itemsize == 1 else value).isfinite().all():
            raise UserError(
                f'{what} weights that are not finite, {printable(key)} is the first: its training has failed, take an '
                'earlier checkpoint'
            )
    state = {str(key).removeprefix('module.'): value for key, value in state.items()}
    if any(key.startswith(('new.', 'patch_proposal.')) for key in state):
        return 'release', from_release(state)
    if any(key.startswith('backbone.') for key in state):
        return 'paul', state
    # One of torchreid's own models: its layers are our backbone's.
    return 'torchreid', {f'backbone.{key}': value for key, value in state.items()}


def _check_numbers(key: str, value: Tensor, own: Tensor, path: str | Path) -> None:
    """Refuses whole numbers in the place of fractions, which would be loaded as they are: quantised weights."""
    if own.is_floating_point() and not value.is_floating_point():
        kind, wanted = (str(each.dtype).removeprefix('torch.') for each in (value, own))
        raise UserError(
            f'{printable(path)} holds {printable(key)} as {kind}, the model has {wanted}: its weights were quantised, '
            'or are none: name the file that it was made from'
        )


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is what it seems: numbers one after the other; meta tensors, for one, have none."""
    odd = tensor.is_quantized or tensor.is_nested or tensor.is_complex()
    if tensor.layout != torch.strided or tensor.device.type != 'cpu' or odd:
        return False
    return tensor.nbytes <= tensor.untyped_storage().nbytes()  # one number may be shown as any number of them


def is_adapted(checkpoint: Mapping) -> bool:
    """Whether the weights are of a run of the unsupervised stage: such a file says so, or holds its memory bank."""
    return 'memory' in checkpoint or checkpoint.get('adapted') is True


def load_weights(model: nn.Module, path: str | Path, checkpoint: Mapping | None = None) -> LoadedWeights:
    """Loads weights into a PatchNet from one of three kinds of file, told apart by their keys.

    They are this project's checkpoints, the release's (a `DataParallel` state dict under `state_dict`), and those
    torchreid makes of its own models, which fit the backbone: of these, patches and branches are made that need no
    training (`PatchNet.keep_distances`). A classifier of another size is left out.

    Args:
        model: a PatchNet, or a wrapper with a `module`.
        path: the file.
        checkpoint: what the file holds, if it was read already: a run that goes on may have removed it since.

    Returns:
        What was loaded, what was left in the file, and what the file lacks.

    Raises:
        UserError: one line, for a file that cannot be read, weights of another model, or a shape that does not fit.
    """
    net: Any = getattr(model, 'module', model)
    checkpoint = read_checkpoint(path) if checkpoint is None else checkpoint
    kind, state = state_of(checkpoint, path)
    own = net.state_dict()
    backbone = {key for key in own if key.startswith('backbone.')}
    if len(backbone & state.keys()) < len(backbone) / 2:
        _refuse_model(path, checkpoint, state)
    loaded, left = {}, []
    for key, value in state.items():
        if key in own and value.shape == own[key].shape:
            _check_numbers(key, value, own[key], path)
            loaded[key] = value
        elif key in own and not key.startswith('classifier.'):
            raise UserError(
                f'{printable(path)} does not fit the model: {printable(key)} is {tuple(value.shape)}, '
                f'the model has {tuple(own[key].shape)}'
            )
        else:
            left.append(key)
    net.load_state_dict(loaded, strict=False)
    if kind == 'torchreid':
        head = head_of(state)
        channels = net.branches[0].reduction.in_features
        net.keep_distances(directions(head, net.dim) if fits(head, channels) else None)
    missing = [key for key in own if key not in loaded]
    return LoadedWeights(kind, list(loaded), left, missing, is_adapted(checkpoint), unmeasured(net))
