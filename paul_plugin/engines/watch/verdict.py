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
# An epoch is kept if the odds of its agreement, a / (1 - a), pass those before training by this factor, and if its
# effective rank is still this share. Chosen on two draws of 50 people of Market-1501 and on all people: models that
# gained passed both, such as 0.44 -> 0.59 with 0.8 of the rank. Of those that lost, one had 0.449 -> 0.494 with the
# whole rank, others 0.63 -> 0.78 with 0.43 of it.
ODDS, SHARE = 1.5, 0.5
FALL = 1.05  # agreement that fell by this factor speaks against an epoch
FEWEST = 100  # crops. Of 24, one ruined model in six was better by chance; of 80, one in 50.
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

    An epoch must pass what was before training: see `passes` and `holds`. Mutuality and mixing are recorded, and decide
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
    if blind(before):
        return left[0]
    better = [sign for sign in left if sign['epoch'] > before['epoch'] and passes(sign, before) and holds(sign, before)]
    return max([before, *better], key=_agreement)


def passes(sign: dict, before: dict) -> bool:
    """Whether patch agreement is above what it must be after training."""
    return _agreement(sign) > needed(_agreement(before))


def needed(agreement: float) -> float:
    """The agreement whose odds are `ODDS` times those of this one.

    Example:
        >>> needed(0.5), needed(1.0)
        (0.6, 1.0)
    """
    return ODDS * agreement / (1 + (ODDS - 1) * agreement)


def holds(sign: dict, before: dict) -> bool:
    """Whether descriptors differ in enough directions still; of signs without effective rank it is taken for true.

    A network that draws crops of different people together makes a patch and its image agree, too, as all of them then
    lie in few directions.
    """
    return not (RANK in sign and RANK in before) or sign[RANK] >= SHARE * before[RANK]


def blind(before: dict) -> bool:
    """Whether signs tell nothing: no crop has one of another camera near it, or there are too few crops."""
    return before['mixing'] == 0 or before.get(CROPS, FEWEST) < FEWEST


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

    `KEEP` where it `passes` and `holds`. `DO_NOT_KEEP` where it does neither, and where agreement fell by `FALL`.
    `CANNOT_TELL` between, and where the signs are `blind`.

    Args:
        signs: those of the run, one at least.
    """
    before, last = _best_before(signs), signs[-1]
    if blind(before):
        return CANNOT_TELL
    rose, held = passes(last, before), holds(last, before)
    if rose and held:
        return KEEP
    fell = _agreement(before) > FALL * _agreement(last)
    return DO_NOT_KEEP if fell or not (rose or held) else CANNOT_TELL


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
        'Is the model of epoch 1 better? Verdict without labels: keep it. The rule: patch agreement, 0.600, must pass 0.500 (before training: 0.400). From the start to epoch 1 camera mutuality stayed at 0.500, camera mixing rose from 0.600 to 0.700. A sign is no measurement: only labels tell'
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
    if before.get(CROPS, FEWEST) < FEWEST:
        return f'The signs of {before[CROPS]} crops are noise: {FEWEST} are needed'
    if before['mixing'] == 0:
        return 'No crop had one of another camera near it before training'
    now, then = _agreement(last), _agreement(before)
    rule = f'The rule: patch agreement, {now:.3f}, must pass {needed(then):.3f} (before training: {then:.3f})'
    if not (RANK in last and RANK in before):
        return rule
    now, then = last[RANK], before[RANK]
    return f'{rule}, and effective rank, {now:.1f}, must not fall below {SHARE * then:.1f} (before: {then:.1f})'


def _change(name: str, before: float, after: float) -> str:
    if abs(after - before) < _EQUAL:
        return f'{name} stayed at {after:.3f}'
    return f'{name} {"rose" if after > before else "fell"} from {before:.3f} to {after:.3f}'
