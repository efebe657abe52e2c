"""The paper's tables as data: a table is a list of rows, and a row is a name and the keys that it sets."""

from typing import NamedTuple

from yacs.config import CfgNode

from ..config.keys import value_of
from ..config.settings import with_keys
from ..runtime.choices import TRANSFORMATIONS
from ..runtime.errors import UserError


class Row(NamedTuple):
    """A row: what the run's config is overridden by. `value` is the swept key's, of a sweep."""

    name: str
    keys: dict[str, object]
    value: float | None = None


class Table(NamedTuple):
    """A table; of a sweep, `symbol` is the paper's letter for the swept key."""

    name: str
    title: str
    rows: list[Row]
    symbol: str = ''


# Swept key under `paul` -> its letter in the paper, and the values that are tried beside the config's own.
SWEEPS = {
    'num_patches': ('M', [2, 4, 6, 8]),
    'k': ('k', [1, 5, 10, 15, 20]),
    'scale': ('s', [5, 10, 20, 30, 40]),
    'weight_pedal': ('lambda', [0.5, 1, 2, 4, 8]),
    'momentum': ('l', [0.05, 0.1, 0.2, 0.5, 1]),
    'r': ('r', [1, 2, 3, 5, 8]),
    'margin': ('m', [0.5, 1, 2, 3, 4]),
}
TABLES = ('components', 'patch_source', 'surrogate', 'pretraining', *SWEEPS)
OF_IPFL = ('surrogate', 'r', 'margin')  # what nothing but IPFL depends on
ALIASES = {symbol: name for name, (symbol, _) in SWEEPS.items() if symbol != name}
NO_PRETRAINING = 'none'  # among the values of the table `pretraining`


def make_table(name: str, cfg: CfgNode, values: list[str] | None = None) -> Table:
    """A table for a config.

    Args:
        name: of TABLES, or one of the paper's letters in ALIASES.
        cfg: the config of the whole method.
        values: of a sweep: the values instead of the usual ones; of `pretraining`: sources, several joined by `+`, or
            `none`. None for the usual ones, the config's own always among them.

    Raises:
        UserError: if the config or the values do not fit the table.

    Example:
        >>> [row.name for row in make_table('k', cfg, ['1', '10']).rows]
        ['k = 1', 'k = 10']
    """
    name = ALIASES.get(name, name)
    if name in OF_IPFL and value_of(cfg, 'paul.weight_ipfl') == 0:
        raise UserError(f'paul.weight_ipfl = 0.0: the table {name} needs it above 0, or its rows are the same run')
    if name in SWEEPS:
        return _sweep(name, cfg, values)
    if name == 'pretraining':
        return _pretraining(cfg, values)
    if values is not None:
        raise UserError(f'the table {name} takes no values: it has its rows')
    return {'components': _components, 'patch_source': _patch_source, 'surrogate': _surrogate}[name](cfg)


def _components(cfg: CfgNode) -> Table:
    """What each part of the method gives."""
    for key in ('paul.weight_pedal', 'paul.weight_ipfl'):
        if value_of(cfg, key) == 0:
            raise UserError(f'{key} = 0.0: the table components needs it above 0, its rows switch it off')
    patch, image = ({'paul.similarity': name} for name in ('patch', 'image'))
    no_pedal, no_ipfl = ({f'paul.weight_{name}': 0.0} for name in ('pedal', 'ipfl'))
    rows = [
        Row('direct transfer', {'test.evaluate': True}),
        # The weights stay, the BatchNorm statistics follow the new cameras' images: what adapting gives without
        # learning, which the other rows must be compared with.
        Row('control: learning rate 0', {**patch, 'train.lr': 0.0}),
        Row('image-level PEDAL', {**image, **no_ipfl}),
        Row('PEDAL', {**patch, **no_ipfl}),
        Row('IPFL', {**patch, **no_pedal}),
        Row('image-level PEDAL + IPFL', image),
        Row('PEDAL + IPFL', patch),
    ]
    return Table('components', 'Components', rows)


def _patch_source(cfg: CfgNode) -> Table:
    rows = [Row(name, {'paul.patch_source': name}) for name in ('pgn', 'stripe', 'random')]
    return Table('patch_source', 'Source of the patches', rows)


def _surrogate(cfg: CfgNode) -> Table:
    """Each transformation alone; with none the surrogate is the image itself, a positive that teaches nothing."""
    choices = {'all': TRANSFORMATIONS, **{name: (name,) for name in TRANSFORMATIONS}, 'none': ()}
    rows = [Row(name, {'paul.surrogate.transforms': list(names)}) for name, names in choices.items()]
    return Table('surrogate', 'Transformations of the surrogate', rows)


def _sweep(name: str, cfg: CfgNode, values: list[str] | None) -> Table:
    key = f'paul.{name}'
    symbol, usual = SWEEPS[name]
    tried = [value_of(cfg, key), *usual] if values is None else values
    read = {value_of(with_keys(cfg, [key, value]), key) for value in tried}
    rows = [Row(f'{symbol} = {value:g}', {key: value}, value) for value in sorted(read)]
    return Table(name, f'{symbol} ({key})', rows, symbol)


def _pretraining(cfg: CfgNode, values: list[str] | None) -> Table:
    if cfg.model.load_weights:
        raise UserError(
            f'model.load_weights = {cfg.model.load_weights!r}: the table pretraining makes its weights: take it out'
        )
    if not cfg.paul.pretrain.config:
        raise UserError('the table pretraining needs paul.pretrain.config, the config of the pre-training stage')
    from ..run.start import stage_config  # and with it torch

    stage = stage_config(cfg)
    own = '+'.join(stage.data.sources)
    rows = []
    for value in dict.fromkeys([own, NO_PRETRAINING] if values is None else values):
        if value == NO_PRETRAINING:
            start = 'ImageNet' if cfg.model.pretrained else 'random'
            rows.append(Row(f'none ({start} weights)', {'paul.pretrain.config': ''}))
            continue
        sources = value.split('+')
        # The stage ends with a test, on what it was trained on: other data sets may not be there.
        opts = [*cfg.paul.pretrain.opts, 'data.sources', sources, 'data.targets', sources]
        rows.append(Row(value, {} if value == own else {'paul.pretrain.opts': opts}))
    return Table('pretraining', 'Source of the pre-training', rows)
