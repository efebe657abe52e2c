"""What the signs of cameras say of a run: which of its models to keep, in plain words."""

import math
from collections.abc import Sequence

SIGN_NAMES = ('agreement', 'mutuality', 'mixing')
RANK, CROPS = 'effective_rank', 'crops'  # of a sign, which older ones lack
START, FILLED = 'start', 'filled'  # the names of signs before training, those after an epoch are `epoch 3`

UNKNOWN = (
    'It cannot be told whether adapting helped: the crops are of one camera, or their cameras are not known. '
    'Name the cameras by folder.camera to get signs without labels'
)
# An epoch is kept if the odds of its agreement, a / (1 - a), are above those before training by this factor, or by that
# by which its effective rank fell, if that is more. Chosen on Market-1501: of the models that lost, the best by this
# rule had 1.2 times the odds with the whole rank (0.449 -> 0.494, the paper's method on all people), and 1.9 times with
# 0.43 of it; those that gained had 1.6 times with 0.8, or 5 times with 0.5.
ODDS = 1.5
HALF = 0.5  # of the rank: fewer directions speak against an epoch whose agreement did not rise
FALL = 1.05  # agreement that fell by this factor speaks against an epoch
FEWEST = 100  # crops. Of 24, one ruined model in six was better by chance; of 80, one in 50.
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
        In the order in which they were measured, each `{'name', 'epoch', 'agreement', 'mutuality', 'mixing'}`, and
        `'effective_rank'` and `'crops'`, which were measured, but in runs of older versions; `epoch` is how many were
        done; `'lost': 1` where the run has this model no longer.
    """
    return [sign for sign in (value if isinstance(value, list) else []) if _is_sign(sign)]


def _is_sign(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get('name'), str)
        and type(value.get('epoch')) is int
        and all(type(value.get(sign)) in (int, float) for sign in SIGN_NAMES)
        and all(type(value.get(sign, 0)) in (int, float) for sign in (RANK, CROPS))
        and math.isfinite(sum(value.get(sign, 0) for sign in (*SIGN_NAMES, RANK, CROPS)))
    )


def best_of(signs: Sequence[dict]) -> dict:
    """The sign of the model to keep: of the highest patch agreement, of equal ones the earliest.

    An epoch must pass what was before training: see `needed`. Mutuality and mixing are recorded, and decide
    nothing: they also rise where the network makes crops of different people alike.

    It is asked after each measurement, and a model that it does not choose then is gone. So of a longer list it must
    choose the last, or what it chose before.

    Args:
        signs: of START, FILLED and the epochs, in this order, one at least; those that are lost are passed over,
            unless all are.

    Example:
        >>> signs = [('start', 0, 0.5, 1.0), ('epoch 1', 1, 0.7, 1.0)]
        >>> best_of([dict(zip(('name', 'epoch', 'agreement', 'mixing'), sign)) for sign in signs])['name']
        'epoch 1'
    """
    left = [sign for sign in signs if not sign.get('lost')] or signs
    before = _best_before(left)
    if _why_blind(before):
        return left[0]
    better = [sign for sign in left if sign['epoch'] > before['epoch'] and passes(sign, before)]
    return max([before, *better], key=_agreement)


def passes(sign: dict, before: dict) -> bool:
    """Whether patch agreement is above what it must be, see `needed`."""
    return _agreement(sign) > needed(sign, before)


def needed(sign: dict, before: dict) -> float:
    """The agreement that an epoch must pass: its odds are those before training, times `ODDS` or what was lost in rank.

    A network that draws crops of different people together makes a patch and its image agree, too, as all descriptors
    then lie in few directions. Of signs without effective rank nothing was lost.

    Example:
        >>> needed({'effective_rank': 80.0}, {'agreement': 0.5, 'effective_rank': 100.0})
        0.6
        >>> needed({'effective_rank': 25.0}, {'agreement': 0.5, 'effective_rank': 100.0})
        0.8
    """
    factor = max(ODDS, 1 / max(_rank_left(sign, before), 1e-9))
    return factor * _agreement(before) / (1 + (factor - 1) * _agreement(before))


def _rank_left(sign: dict, before: dict) -> float:
    """The share of the effective rank before training; 1 where it was not measured, or was 0."""
    return sign[RANK] / before[RANK] if RANK in sign and before.get(RANK) else 1.0


def _why_blind(before: dict) -> str:
    """Why signs tell nothing, in words; '' where they do tell."""
    if before.get(CROPS, FEWEST) < FEWEST:
        return f'The signs of {before[CROPS]} crops are noise: {FEWEST} are needed'
    return 'No crop had one of another camera near it before training' if before['mixing'] == 0 else ''


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

    `KEEP` where it `passes`. `DO_NOT_KEEP` where agreement fell by `FALL`, or did not pass and less than `HALF` of the
    effective rank is left. `CANNOT_TELL` between, and where signs tell nothing, see `_why_blind`.

    Args:
        signs: those of the run, one at least.
    """
    before, last = _best_before(signs), signs[-1]
    if _why_blind(before):
        return CANNOT_TELL
    if passes(last, before):
        return KEEP
    fell = _agreement(before) > FALL * _agreement(last) or _rank_left(last, before) < HALF
    return DO_NOT_KEEP if fell else CANNOT_TELL


def verdict(signs: Sequence[dict], history: Sequence[dict] = (), keep: str = 'last') -> str:
    """One line: whether to keep the adapted model, by which rule and numbers, and what else rose or fell.

    Args:
        signs: those of the run, none where cameras are unknown.
        history: its epochs; `recall` is read, where it is recorded.
        keep: `last` or `best`, which model the run keeps.

    Example:
        >>> signs = [{'name': 'start', 'epoch': 0, 'agreement': 0.4, 'mutuality': 0.5, 'mixing': 0.6},
        ...          {'name': 'epoch 1', 'epoch': 1, 'agreement': 0.6, 'mutuality': 0.5, 'mixing': 0.7}]
        >>> verdict(signs)
        'Is the model of epoch 1 better? Verdict without labels: keep it. The rule: patch agreement, 0.600, must pass 0.500 (before training it was 0.400). From the start to epoch 1 camera mutuality stayed at 0.500, camera mixing rose from 0.600 to 0.700. A sign is no measurement: only labels tell'
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
        f'Is {whose} better? Verdict without labels: {word}{way}. {_rule(last, before)}. {span} {", ".join(parts)}. '
        'A sign is no measurement: only labels tell'
    )


def _rule(last: dict, before: dict) -> str:
    """The rule with its numbers, or why it is not asked."""
    if why := _why_blind(before):
        return why
    rank = f', {_change("effective rank", before[RANK], last[RANK], 1)}' if RANK in last and RANK in before else ''
    must = f'{_agreement(last):.3f}, must pass {needed(last, before):.3f}'
    return f'The rule: patch agreement, {must} (before training it was {_agreement(before):.3f}{rank})'


def _change(name: str, before: float, after: float, digits: int = 3) -> str:
    """In words; what changes by less than 5 of the last digit is called none: a sign's own noise is larger."""
    if abs(after - before) < 5 * 10**-digits:
        return f'{name} stayed at {after:.{digits}f}'
    return f'{name} {"rose" if after > before else "fell"} from {before:.{digits}f} to {after:.{digits}f}'
