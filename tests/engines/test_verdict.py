"""The verdict's words and the choice of the model to keep, by made-up signs."""

import math

import pytest

from paul_plugin.engines.watch.verdict import (
    CANNOT_TELL,
    DO_NOT_KEEP,
    KEEP,
    UNKNOWN,
    best_of,
    signs_of,
    verdict,
    word_of,
)


def signs(*agreements):
    names = ['start', 'filled', *(f'epoch {number}' for number in range(1, len(agreements)))]
    return [
        {'name': name, 'epoch': max(0, place - 1), 'agreement': agreement, 'mutuality': 0.4, 'mixing': 0.5}
        for place, (name, agreement) in enumerate(zip(names, agreements, strict=False))
    ]


@pytest.mark.parametrize(
    ('agreements', 'best'),
    [
        ((0.5, 0.4), 'start'),
        ((0.5, 0.6, 0.55), 'filled'),
        ((0.5, 0.5, 0.7, 0.6), 'epoch 1'),
        ((0.5, 0.5, 0.7, 0.7), 'epoch 1'),
        ((0.5, 0.6, 0.7, 0.8), 'epoch 2'),
        ((0.5, 0.6, 0.68, 0.65), 'filled'),
    ],
)
def test_the_best(agreements, best):
    assert best_of(signs(*agreements))['name'] == best


def test_what_also_rises_where_people_are_confused_decides_nothing():
    found = signs(0.5, 0.6, 0.55)
    found[2] |= {'mixing': 1.0, 'mutuality': 0.9}
    assert best_of(found)['name'] == 'filled'


@pytest.mark.parametrize(
    ('agreements', 'word'),
    [
        ((0.5, 0.4, 0.61), KEEP),
        ((0.5, 0.4, 0.7, 0.61), KEEP),
        ((0.5, 0.4, 0.4), DO_NOT_KEEP),
        ((0.4, 0.5, 0.41), DO_NOT_KEEP),
        ((0.5, 0.4, 0.59), CANNOT_TELL),
        ((0.5, 0.4, 0.49), CANNOT_TELL),
        ((0.9, 0.4, 0.93), CANNOT_TELL),
        ((0.9, 0.4, 0.94), KEEP),
        ((1.0, 1.0, 1.0), CANNOT_TELL),
    ],
)
def test_the_word(agreements, word):
    assert word_of(signs(*agreements)) == word
    assert f'Verdict without labels: {word}' in verdict(signs(*agreements))


@pytest.mark.parametrize(
    ('agreement', 'rank', 'word'),
    [
        (0.61, 65.0, KEEP),
        (0.61, 63.0, CANNOT_TELL),
        (0.81, 25.0, KEEP),
        (0.79, 25.0, DO_NOT_KEEP),
        (0.59, 50.1, CANNOT_TELL),
        (0.59, 49.9, DO_NOT_KEEP),
        (0.4, 100.0, DO_NOT_KEEP),
        (0.99, 0.0, DO_NOT_KEEP),
    ],
)
def test_agreement_in_few_directions_must_rise_by_more(agreement, rank, word):
    """A network that draws different people together makes a patch and its image agree as well."""
    found = signs(0.5, 0.4, agreement)
    for sign, of_sign in zip(found, (100.0, 70.0, rank), strict=True):
        sign['effective_rank'] = of_sign
    assert word_of(found) == word
    assert best_of(found)['name'] == ('epoch 1' if word == KEEP else 'start')
    change = 'stayed at' if rank == 100 else 'fell from 100.0 to'
    assert f'it was 0.500, effective rank {change} {rank:.1f})' in verdict(found)


def test_the_best_is_not_one_of_few_directions():
    found = signs(0.5, 0.4, 0.7, 0.8)
    for sign, rank in zip(found, (100.0, 100.0, 80.0, 20.0), strict=True):
        sign['effective_rank'] = rank
    assert best_of(found)['name'] == 'epoch 1'


@pytest.mark.parametrize(
    ('blindness', 'words'),
    [({'mixing': 0}, 'No crop had one of another camera near'), ({'crops': 99}, 'The signs of 99 crops are noise')],
)
def test_signs_that_tell_nothing(blindness, words):
    """As of near-copies of video frames, where all that is near to a crop is its own track; and of few crops."""
    found = signs(0.5, 0.4, 0.9)
    for sign in found:
        sign |= blindness
    assert word_of(found) == CANNOT_TELL
    assert best_of(found)['name'] == 'start'
    assert f'{CANNOT_TELL}; the run keeps (paul.keep best) the start' in verdict(found, keep='best')
    assert words in verdict(found)


def test_signs_of_a_hundred_crops_are_asked():
    found = signs(0.5, 0.4, 0.9)
    found[0]['crops'] = 100
    assert word_of(found) == KEEP


def test_the_best_of_more_is_the_last_or_the_best_before():
    """Others are not kept."""
    found = signs(0.5, 0.4, 0.65, 0.65, 0.3, 0.7)
    for end in range(2, len(found) + 1):
        assert best_of(found[:end]) in (found[end - 1], best_of(found[: end - 1]))


def test_a_lost_model_is_not_the_best():
    found = signs(0.5, 0.9, 0.7)
    found[1]['lost'] = 1
    assert best_of(found)['name'] == 'epoch 1'


@pytest.mark.parametrize(
    ('agreements', 'keep', 'words'),
    [
        ((0.5, 0.5, 0.7), 'last', 'Is the model of epoch 1 better? Verdict without labels: keep it. The rule: patch '
         'agreement, 0.700, must pass 0.600 (before training it was 0.500). From the start to epoch 1 camera mutuality '
         'stayed at 0.400, camera mixing stayed at 0.500. A sign'),
        ((0.5, 0.45, 0.4), 'best', 'do not keep it; the run keeps (paul.keep best) the start, as it was loaded, 0.500'),
        ((0.5, 0.6, 0.4), 'last', 'do not keep it; paul.keep best would keep the start with BatchNorm statistics of'),
        ((0.5, 0.5, 0.7, 0.61), 'last', 'keep it; paul.keep best would keep the model of epoch 1, 0.700'),
        ((0.5, 0.5, 0.51), 'best', 'it cannot be told; the run keeps (paul.keep best) the start'),
    ],
)  # fmt: skip
def test_the_words(agreements, keep, words):
    assert words in verdict(signs(*agreements), keep=keep)
    assert '\n' not in verdict(signs(*agreements), keep=keep)


def test_recall_where_it_is_recorded():
    history = [{'epoch': 1, 'recall': 0.7}, {'epoch': 2, 'recall': 0.2}]
    assert 'bank recall, from the first epoch on, fell from 0.700 to 0.200' in verdict(signs(0.5, 0.5, 0.4), history)
    assert 'recall' not in verdict(signs(0.5, 0.5, 0.4), [{'epoch': 1}])


def test_unknown_cameras():
    assert verdict([]) == UNKNOWN


@pytest.mark.parametrize(
    'value',
    [None, {}, 'signs', [1], [{}], [{'name': 'start', 'epoch': 0, 'mutuality': 0.5, 'mixing': 1.0}],
     [{'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': float('nan'), 'mixing': 1.0}],
     [{'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 1.0, 'effective_rank': 'x'}],
     [{'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 1.0, 'effective_rank': math.inf}]],
)  # fmt: skip
def test_what_are_no_signs(value):
    assert signs_of(value) == []
