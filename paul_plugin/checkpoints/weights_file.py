"""A file of weights, read once: whose it is, its weights under PatchNet's names, and what it tells beside them."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..runtime.errors import UserError, printable
from .head import enough_numbers, head_of
from .onnx_weights import SIZE
from .reading import read_checkpoint

# Beginnings of the release's names -> of ours, {} a number; a branch's Conv1x1 on a 1x1 map is a Linear here.
_RELEASE = (
    ('new.down.{}.0.', 'branches.{}.reduction.'),
    ('new.down.{}.1.', 'branches.{}.norm.'),
    ('new.fc_list.', 'classifier.'),
    ('new.embedding.', 'embedding.'),
    ('patch_proposal.fc_loc.', 'pgn.regression.'),
    ('patch_proposal.', 'pgn.'),
)
_REDUCTION = re.compile(r'branches\.\d+\.reduction\.weight')
_BACKBONE = 'backbone.'
MOST_NUMBERS = 512  # D of a branch that starts as a file's head


class WeightsFile:
    """A file of weights, read when something of it is first asked for, and then never again until `forget`.

    Args:
        path: the file.
        checkpoint: what it holds, if it was read already: a run that goes on may have removed it since.

    Attributes:
        checkpoint: all that it holds, as `read_checkpoint` reads it.
        kind, state: as `state_of` gives them.

    Raises:
        UserError: not when it is made, but by every attribute of a file that cannot be read.

    Example:
        >>> WeightsFile('log/paul_market/model/kept.pth.tar').kind
        'paul'
    """

    def __init__(self, path: str | Path, checkpoint: dict | None = None) -> None:
        self.path = Path(path)
        if checkpoint is not None:
            self.checkpoint = checkpoint

    @functools.cached_property
    def checkpoint(self) -> dict:
        return read_checkpoint(self.path)

    @functools.cached_property
    def _weights(self) -> tuple[str, dict[str, Tensor]]:
        return state_of(self.checkpoint, self.path)

    @property
    def kind(self) -> str:
        return self._weights[0]

    @property
    def state(self) -> dict[str, Tensor]:
        return self._weights[1]

    @property
    def config(self) -> str:
        """The configuration of its run, in YAML; '' where it holds none."""
        text = self.checkpoint.get('config')
        return text if isinstance(text, str) else ''

    @property
    def adapted(self) -> bool:
        """Whether the weights are of a run of the unsupervised stage: the file says so, or holds its memory bank."""
        return 'memory' in self.checkpoint or self.checkpoint.get('adapted') is True

    @functools.cached_property
    def told(self) -> dict[str, object]:
        """What it tells beside its configuration, as far as it is what it should be.

        These are `height` and `width` of its images, `norm_mean`, `norm_std` and `dist_metric`.
        """
        try:
            told = json.loads(self.checkpoint.get('metadata') or '{}')
        except (ValueError, TypeError, RecursionError):
            return {}
        if not isinstance(told, dict):
            return {}
        found: dict[str, object] = {}
        size = self.checkpoint.get(SIZE)  # of an ONNX file, which has no metadata of ours
        sides = size if isinstance(size, list) and len(size) == 2 else (told.get('height'), told.get('width'))
        if all(type(side) is int and 0 < side < 1 << 16 for side in sides):
            found |= dict(zip(('height', 'width'), sides))
        for name in ('mean', 'std'):
            numbers = told.get(name)
            if isinstance(numbers, list) and len(numbers) == 3 and all(type(each) in (int, float) for each in numbers):
                found[f'norm_{name}'] = [float(each) for each in numbers]
        if told.get('dist_metric') in ('euclidean', 'cosine'):
            found['dist_metric'] = told['dist_metric']
        return found

    @property
    def tells_size(self) -> bool:
        """Whether it tells the size of its images."""
        return bool(self.config) or 'height' in self.told

    @property
    def backbone(self) -> dict[str, tuple[int, ...]]:
        """Name, as in torchreid's model -> shape of each tensor of the backbone."""
        return {key.removeprefix(_BACKBONE): (*value.shape,) for key, value in self.state.items() if _is_of(key)}

    @property
    def branches(self) -> tuple[int, int] | None:
        """M and D, the number of patches and the length of a patch's feature; None where it is of no PatchNet."""
        found = [value for key, value in self.state.items() if _REDUCTION.fullmatch(key)]
        return (len(found), len(found[0])) if found else None

    @property
    def has_fixed_patches(self) -> bool:
        return 'pgn.theta' in self.state

    @property
    def length_of_head(self) -> int | None:
        """Of one of torchreid's models, the D that keeps all distances between its head's outputs; None without one."""
        head = head_of(self.state)
        return None if head is None else enough_numbers(head, MOST_NUMBERS)

    def forget(self) -> None:
        """Lets what was read go: for a model that has taken it, or else both stay in memory for a whole run."""
        for name in ('checkpoint', '_weights', 'told'):
            self.__dict__.pop(name, None)


def _is_of(key: str) -> bool:
    return key.startswith(_BACKBONE)


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
    if any(map(_is_of, state)):
        return 'paul', state
    # One of torchreid's own models: its layers are our backbone's.
    return 'torchreid', {f'{_BACKBONE}{key}': value for key, value in state.items()}


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is what it seems: numbers one after the other; meta tensors, for one, have none."""
    odd = tensor.is_quantized or tensor.is_nested or tensor.is_complex()
    if tensor.layout != torch.strided or tensor.device.type != 'cpu' or odd:
        return False
    return tensor.nbytes <= tensor.untyped_storage().nbytes()  # one number may be shown as any number of them


def _renamed(key: str, names: Iterable[tuple[str, str]]) -> str:
    """A key whose beginning, of the first of each pair, is the second."""
    for before, after in names:
        pattern = re.escape(before).replace(r'\{\}', r'(\d+)')
        key = re.sub(f'^{pattern}', after.replace('{}', r'\1'), key)
    return key


def from_release(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The release's state dict (without `module.`) under our names and shapes."""
    renamed = {_renamed(key, _RELEASE): value for key, value in state.items()}
    return {key: value.flatten(1) if _REDUCTION.fullmatch(key) else value for key, value in renamed.items()}


def to_release(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the release's names and shapes, `module.` included."""
    names = [(ours, theirs) for theirs, ours in _RELEASE]
    shaped = {key: value[:, :, None, None] if _REDUCTION.fullmatch(key) else value for key, value in state.items()}
    return {f'module.{_renamed(key, names)}': value for key, value in shaped.items()}
