"""What the signs of cameras say of a run: which of its models to keep, in plain words."""

import math
from collections.abc import Sequence

SIGN_NAMES = ('agreement', 'mutuality', 'mixing')
START, FILLED = 'start', 'filled'  # the names of signs before training, those after an epoch are `epoch 3`

UNKNOWN = (
    'It cannot be told whether adapting helped: the crops are of one camera, or their cameras are not known. '
    'Name the cameras by folder.camera to get signs without labels'
)
MARGIN = 1.05  # an epoch is kept if its agreement passes what was before training by this factor
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
        In the order in which they were measured, each `{'name', 'epoch', 'agreement', 'mutuality', 'mixing'}`;
        `epoch` is how many were done; `'lost': 1` where the run has this model no longer.
    """
    return [sign for sign in (value if isinstance(value, list) else []) if _is_sign(sign)]


def _is_sign(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get('name'), str)
        and type(value.get('epoch')) is int
        and all(type(value.get(sign)) in (int, float) for sign in SIGN_NAMES)
        and math.isfinite(sum(value[sign] for sign in SIGN_NAMES))
    )


def best_of(signs: Sequence[dict]) -> dict:
    """The sign of the model to keep: of the highest patch agreement, of equal ones the earliest.

    An epoch must pass what was before training by `MARGIN`. Mutuality and mixing are recorded, and decide nothing: they
    also rise where the network makes crops of different people alike.

    It is asked after each measurement, and a model that it does not choose then is gone. So of a longer list it must
    choose the last, or what it chose before.

    Args:
        signs: of START, FILLED and the epochs, in this order, one at least; those that are lost are passed over,
            unless all are.

    Example:
        >>> signs = [('start', 0, 0.5), ('epoch 1', 1, 0.6)]
        >>> best_of([dict(zip(('name', 'epoch', 'agreement'), sign)) for sign in signs])['name']
        'epoch 1'
    """
    left = [sign for sign in signs if not sign.get('lost')] or signs
    best, before = max(left, key=_agreement), _best_before(left)
    passes = _agreement(best) > MARGIN * _agreement(before)
    return best if passes or best['epoch'] == before['epoch'] else before


def _best_before(signs: Sequence[dict]) -> dict:
    """The best of what was before training; of signs without any of them, of all."""
    return max([sign for sign in signs if sign['epoch'] == 0] or signs, key=_agreement)


def _agreement(sign: dict) -> float:
    return sign['agreement']


def in_words(name: str) -> str:
    """A sign's name for a sentence."""
    return _WORDS.get(name, name)


KEEP, DO_NOT_KEEP, CANNOT_TELL = 'keep it', 'do not keep it', 'it cannot be told'


def word_of(signs: Sequence[dict]) -> str:
    """The verdict on the model of the last epoch, in a word.

    `KEEP` where its agreement passes what was before training by `MARGIN`, `DO_NOT_KEEP` where it fell below by as
    much; `CANNOT_TELL` between, and where no crop has one of another camera near it: then all signs are blind.

    Args:
        signs: those of the run, one at least.
    """
    before, last = _best_before(signs), signs[-1]
    if before['mixing'] == 0:
        return CANNOT_TELL
    if _agreement(last) > MARGIN * _agreement(before):
        return KEEP
    return DO_NOT_KEEP if _agreement(before) > MARGIN * _agreement(last) else CANNOT_TELL


def verdict(signs: Sequence[dict], history: Sequence[dict] = (), keep: str = 'last') -> str:
    """One line: whether to keep the adapted model, by which rule and numbers, and what else rose or fell.

    Args:
        signs: those of the run, none where cameras are unknown.
        history: its epochs; `recall` is read, where it is recorded.
        keep: `last` or `best`, which model the run keeps.

    Example:
        >>> signs = [{'name': 'start', 'epoch': 0, 'agreement': 0.4, 'mutuality': 0.5, 'mixing': 0.6},
        ...          {'name': 'epoch 1', 'epoch': 1, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 0.7}]
        >>> verdict(signs)
        'Is the model of epoch 1 better? Verdict without labels: keep it. The rule: patch agreement, 0.500, must pass 1.05 x 0.400, that before training. From the start to epoch 1 camera mutuality stayed at 0.500, camera mixing rose from 0.600 to 0.700. A sign is no measurement: only labels tell'
    """  # noqa: E501
    if not signs:
        return UNKNOWN
    first, last, best, before = signs[0], signs[-1], best_of(signs), _best_before(signs)
    parts = [_change(f'camera {name}', first[name], last[name]) for name in ('mutuality', 'mixing')]
    recalls = [entry['recall'] for entry in history if 'recall' in entry]
    if len(recalls) > 1:
        parts.append(_change('bank recall, from the first epoch on,', recalls[0], recalls[-1]))
    word, way = word_of(signs), ''
    if best is not last:
        model = in_words(best['name']) if best['epoch'] == 0 else f'the model of {best["name"]}'
        kept = 'the run keeps (paul.keep best)' if keep == 'best' else 'paul.keep best would keep'
        way = f'; {kept} {model}, {_agreement(best):.3f}'
    span = f'From {"the start" if first["name"] == START else in_words(first["name"])} to {in_words(last["name"])}'
    whose = f'the model of {last["name"]}' if last['epoch'] else in_words(last['name'])
    return (
        f'Is {whose} better? Verdict without labels: {word}{way}. The rule: patch agreement, {_agreement(last):.3f}, '
        f'must pass {MARGIN:g} x {_agreement(before):.3f}, that before training. {span} {", ".join(parts)}. '
        'A sign is no measurement: only labels tell'
    )


def _change(name: str, before: float, after: float) -> str:
    if abs(after - before) < _EQUAL:
        return f'{name} stayed at {after:.3f}'
    return f'{name} {"rose" if after > before else "fell"} from {before:.3f} to {after:.3f}'
