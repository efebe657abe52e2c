"""Puts the weights of a file into a model: a PatchNet, or one of torchreid's own."""

import re
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from torch import Tensor, nn

from ..runtime.errors import UserError, printable
from .head import directions, fits, head_of
from .norms import unmeasured
from .weights_file import WeightsFile

# In a config as it is dumped; read as text, as the file is anyone's.
_NAME_IN_CONFIG = re.compile(r'^model:\n(?:  .*\n)*?  name: (\S{1,100})$', re.MULTILINE)


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


def load_weights(model: nn.Module, file: str | Path | WeightsFile) -> LoadedWeights:
    """Loads weights into a PatchNet from one of three kinds of file, told apart by their keys.

    They are this project's checkpoints, the release's (a `DataParallel` state dict under `state_dict`), and those
    torchreid makes of its own models, which fit the backbone: of these, patches and branches are made that need no
    training (`PatchNet.keep_distances`). A classifier of another size is left out.

    Args:
        model: a PatchNet, or a wrapper with a `module`.
        file: its path, or what was read of it already.

    Returns:
        What was loaded, what was left in the file, and what the file lacks.

    Raises:
        UserError: one line, for a file that cannot be read, weights of another model, or a shape that does not fit.
    """
    net: Any = getattr(model, 'module', model)
    file = file if isinstance(file, WeightsFile) else WeightsFile(file)
    own = net.state_dict()
    backbone = {key for key in own if key.startswith('backbone.')}
    if len(backbone & file.state.keys()) < len(backbone) / 2:
        _refuse_model(file)
    loaded, left = {}, []
    for key, value in file.state.items():
        if key in own and value.shape == own[key].shape:
            _check_numbers(key, value, own[key], file.path)
            loaded[key] = value
        elif key in own and not key.startswith('classifier.'):
            raise UserError(
                f'{printable(file.path)} does not fit the model: {printable(key)} is {tuple(value.shape)}, '
                f'the model has {tuple(own[key].shape)}'
            )
        else:
            left.append(key)
    net.load_state_dict(loaded, strict=False)
    if file.kind == 'torchreid':
        head = head_of(file.state)
        channels = net.branches[0].reduction.in_features
        net.keep_distances(directions(head, net.dim) if head and fits(head, channels) else None)
    missing = [key for key in own if key not in loaded]
    return LoadedWeights(file.kind, list(loaded), left, missing, file.adapted, unmeasured(net))


def load_host_weights(model: nn.Module, file: WeightsFile) -> list[str]:
    """Loads a file into one of torchreid's own models; as torchreid does, it leaves out what does not fit, and says so.

    Returns:
        The norms whose statistics the file does not tell, as `LoadedWeights.unmeasured` has them.

    Raises:
        UserError: one line, for a file that cannot be read or holds no weights or those of another model.
    """
    own = model.state_dict()
    found = {key.removeprefix('backbone.'): value for key, value in file.state.items()}
    loaded = {key: value for key, value in found.items() if key in own and own[key].shape == value.shape}
    if file.kind != 'torchreid' or len(loaded) < len(own) / 2:
        _refuse_model(file)
    for key, value in loaded.items():
        _check_numbers(key, value, own[key], file.path)
    model.load_state_dict(loaded, strict=False)
    print(f'Loaded {len(loaded)} tensors from {printable(file.path)}')
    if left := [key for key in found if key not in loaded]:
        print(f'* left in the file: {", ".join(map(printable, left))}')
    return unmeasured(model)


def _check_numbers(key: str, value: Tensor, own: Tensor, path: str | Path) -> None:
    """Refuses whole numbers in the place of fractions, which would be loaded as they are: quantised weights."""
    if own.is_floating_point() and not value.is_floating_point():
        kind, wanted = (str(each.dtype).removeprefix('torch.') for each in (value, own))
        raise UserError(
            f'{printable(path)} holds {printable(key)} as {kind}, the model has {wanted}: its weights were quantised, '
            'or are none: name the file that it was made from'
        )


def _refuse_model(file: WeightsFile) -> NoReturn:
    """Says which model's weights a file holds, if it tells; else what its first layers are called."""
    found = _NAME_IN_CONFIG.search(file.config)
    if found:
        name = printable(found[1])
        whose, way_out = f'of another model, {name}', f'set model.name {name}'
    else:
        layers = dict.fromkeys(key.removeprefix('backbone.').rpartition('.')[0] for key in file.state)
        first = printable(', '.join(list(layers)[:3]))[:200]
        whose, way_out = f'of another model, its first layers are {first}', 'set model.name to that model'
    raise UserError(f'{printable(file.path)} holds the weights {whose}: {way_out}, or name another file')
