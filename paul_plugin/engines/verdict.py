"""What the signs of cameras say of a run: which of its models to keep, in plain words."""

import math
from collections.abc import Sequence

START, FILLED = 'start', 'filled'  # the names of signs before training, those after an epoch are `epoch 3`

UNKNOWN = (
    'It cannot be told whether adapting helped: the crops are of one camera, or their cameras are not known. '
    'Name the cameras by folder.camera to get signs without labels'
)
MARGIN = 1.05  # an epoch is kept if its signs' product passes that from before training by this factor
_EQUAL = 0.005  # changes below are called none: a sign's own noise is larger
_WORDS = {
    START: 'the start, as it was loaded',
    FILLED: 'the start with BatchNorm statistics of the new cameras',
}


def name_of(epoch: int) -> str:
    """The name of the signs after an epoch, from 1 on."""
    return f'epoch {epoch}'


def signs_of(value: object) -> list[dict]:
    """The signs as a file or a checkpoint holds them: what is whole, and nothing else.

    Returns:
        In the order in which they were measured, each `{'name', 'epoch', 'mutuality', 'mixing'}`; `epoch` is how many
        were done; `'lost': 1` where the run has this model no longer.
    """
    return [sign for sign in (value if isinstance(value, list) else []) if _is_sign(sign)]


def _is_sign(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get('name'), str)
        and type(value.get('epoch')) is int
        and all(type(value.get(sign)) in (int, float) for sign in ('mutuality', 'mixing'))
        and math.isfinite(value['mutuality'] + value['mixing'])
    )


def best_of(signs: Sequence[dict]) -> dict:
    """The sign of the model to keep: of the highest product of mutuality and mixing, of equal ones the earliest.

    An epoch must pass what was before training by `MARGIN`: with less, on the rendered seeds 11 to 13, a model was kept
    that was 2 points worse. Mutuality alone ranks a model that has only new BatchNorm statistics as high as one that
    has learned.

    It is asked after each measurement, and a model that it does not choose then is gone. So of a longer list it must
    choose the last, or what it chose before.

    Args:
        signs: of START, FILLED and the epochs, in this order, one at least; those that are lost are passed over,
            unless all are.

    Example:
        >>> signs = [('start', 0, 0.5, 0.6), ('epoch 1', 1, 0.6, 0.7)]
        >>> best_of([dict(zip(('name', 'epoch', 'mutuality', 'mixing'), sign)) for sign in signs])['name']
        'epoch 1'
    """
    left = [sign for sign in signs if not sign.get('lost')] or signs
    best = max(left, key=_product)
    before = max((sign for sign in left if sign['epoch'] == 0), key=_product, default=best)
    return best if _product(best) > MARGIN * _product(before) or best['epoch'] == before['epoch'] else before


def _product(sign: dict) -> float:
    return sign['mutuality'] * sign['mixing']


def in_words(name: str) -> str:
    """A sign's name for a sentence."""
    return _WORDS.get(name, name)


def verdict(signs: Sequence[dict], history: Sequence[dict] = (), keep: str = 'last') -> str:
    """One line: what rose or fell from the start of a run to its end, and which model that speaks for.

    Args:
        signs: those of the run, none where cameras are unknown.
        history: its epochs; `recall` is read, where it is recorded.
        keep: `last` or `best`, which model the run keeps.

    Example:
        >>> signs = [{'name': 'start', 'epoch': 0, 'mutuality': 0.5, 'mixing': 0.6},
        ...          {'name': 'epoch 1', 'epoch': 1, 'mutuality': 0.58, 'mixing': 0.7}]
        >>> verdict(signs)
        'Signs without labels, from the start to epoch 1: camera mutuality rose from 0.500 to 0.580, camera mixing rose from 0.600 to 0.700. They speak for keeping the adapted model. A sign is no measurement: only labels tell'
    """  # noqa: E501
    if not signs:
        return UNKNOWN
    first, last, best = signs[0], signs[-1], best_of(signs)
    parts = [_change(f'camera {name}', first[name], last[name]) for name in ('mutuality', 'mixing')]
    recalls = [entry['recall'] for entry in history if 'recall' in entry]
    if len(recalls) > 1:
        parts.append(_change('bank recall, from the first epoch on,', recalls[0], recalls[-1]))
    if best is last and last['epoch'] > 0:
        model, way = 'the adapted model', ''
    else:
        model = in_words(best['name']) if best['epoch'] == 0 else f'the model of {best["name"]}'
        kept = 'as the run does (paul.keep best)' if keep == 'best' else 'which paul.keep best would have done'
        way = f', not the last epoch, {kept}'
    span = f'from {"the start" if first["name"] == START else in_words(first["name"])} to {in_words(last["name"])}'
    return (
        f'Signs without labels, {span}: {", ".join(parts)}. They speak for keeping {model}{way}. '
        'A sign is no measurement: only labels tell'
    )


def _change(name: str, before: float, after: float) -> str:
    if abs(after - before) < _EQUAL:
        return f'{name} stayed at {after:.3f}'
    return f'{name} {"rose" if after > before else "fell"} from {before:.3f} to {after:.3f}'
