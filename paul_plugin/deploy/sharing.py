"""A trained model's weights to be given away: one safetensors file, without anything that describes a person."""

import json
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import yaml

from ..checkpoints.safetensors_file import SUFFIX, as_safetensors
from ..checkpoints.weights_file import WeightsFile
from ..config.changes import list_of
from ..config.keys import value_of
from ..method.patchnet import HEADS
from ..run.trained import Trained
from ..runtime.errors import UserError, import_optional, printable
from ..runtime.files import file_of_user
from ..runtime.targets import check_targets
from .export import metadata_of
from .last_layers import net_and_layers

# What a model is built by, fed by and compared by; nothing else of a run's configuration, such as its folders.
KEYS = (
    'model.name', 'data.height', 'data.width', 'data.norm_mean', 'data.norm_std', 'data.stretch',
    'paul.num_patches', 'paul.feature_dim', 'paul.patch_source', 'test.dist_metric', 'test.normalize_feature',
)  # fmt: skip
_CLASSIFIER = 'classifier'  # a row of it stands for a person that the pre-training was shown


class Shared(NamedTuple):
    """What `export_weights` wrote.

    Attributes:
        path: the file.
        count: tensors in it.
        megabytes: its size.
    """

    path: Path
    count: int
    megabytes: float


def export_weights(trained: Trained, path: str | Path, force: bool = False) -> Shared:
    """Writes a model's weights alone, and what it is built, fed and compared by in the file's header.

    The memory bank, the classifier, the optimizer and the run's folders are left out. The file is read by
    `load_weights`, by `open_trained` and by a run's `model.load_weights`, as a checkpoint is; it gets its name only if
    it is read back equal to the bit. Its header holds the texts `config`, the keys in YAML, `metadata`, what
    `metadata_of` gives, and `adapted`, whether the unsupervised stage has trained it.

    Args:
        trained: the model; it stays as it is.
        path: ends in `.safetensors`.
        force: write over a file.

    Raises:
        UserError: if the file cannot be written, or the model's descriptors were reduced or centred, which no weights
            hold.

    Example:
        >>> export_weights(open_trained('log/paul_market'), 'weights.safetensors').count
        386
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise UserError(f'{printable(path)} must end in {SUFFIX}, which names the format')
    if net_and_layers(trained.model)[1]:
        raise UserError(f'{printable(path)} holds weights alone: leave --dim and --camera out, or name another format')
    check_targets([path], force, inputs=[trained.path])
    import_optional('safetensors')
    its = WeightsFile(trained.path, trained.checkpoint)
    state = {name: value.cpu() for name, value in trained.model.state_dict().items() if _is_given(name, its.state)}
    config = {}
    for key in KEYS:
        group, name = key.split('.')
        config.setdefault(group, {})[name] = list_of(value_of(trained.cfg, key))
    # Not the descriptors' length: the weights alone give the paper's.
    told = {key: value for key, value in metadata_of(trained).items() if key != 'length'}
    texts = {'config': yaml.safe_dump(config), 'metadata': json.dumps(told), 'adapted': str(its.adapted)}
    content = as_safetensors(state, texts)
    with file_of_user(path) as file:
        file.write(content)
        file.flush()
        found = WeightsFile(file.name).state
        if found.keys() != state.keys() or not all(found[name].equal(value) for name, value in state.items()):
            raise UserError(f'no file was written to {printable(path)}: it is not read back as it was written')
    return Shared(path, len(state), len(content) / 1e6)


def _is_given(name: str, known: Container[str]) -> bool:
    """Whether a tensor is given away: of the heads, only an embedding that the model's file holds, not a random one."""
    part = name.split('.')[0]
    if part not in HEADS:
        return True
    return part != _CLASSIFIER and name in known
