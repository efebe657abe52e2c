"""The verdict's words and the choice of the model to keep, by made-up signs."""

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
        ((0.5, 0.4, 0.6), KEEP),
        ((0.5, 0.4, 0.7, 0.6), KEEP),
        ((0.5, 0.4, 0.4), DO_NOT_KEEP),
        ((0.4, 0.5, 0.41), DO_NOT_KEEP),
        ((0.5, 0.4, 0.51), CANNOT_TELL),
        ((0.5, 0.4, 0.49), CANNOT_TELL),
    ],
)
def test_the_word(agreements, word):
    assert word_of(signs(*agreements)) == word
    assert f'Verdict without labels: {word}' in verdict(signs(*agreements))


def test_where_no_crop_is_near_one_of_another_camera_nothing_can_be_told():
    """As of near-copies of video frames: all that is near to a crop is its own track."""
    found = signs(0.5, 0.4, 0.6)
    found[0]['mixing'] = 0
    assert word_of(found) == CANNOT_TELL


def test_the_best_of_more_is_the_last_or_the_best_before():
    """Others are not kept."""
    found = signs(0.5, 0.4, 0.6, 0.6, 0.3, 0.7)
    for end in range(2, len(found) + 1):
        assert best_of(found[:end]) in (found[end - 1], best_of(found[: end - 1]))


def test_a_lost_model_is_not_the_best():
    found = signs(0.5, 0.9, 0.6)
    found[1]['lost'] = 1
    assert best_of(found)['name'] == 'epoch 1'


@pytest.mark.parametrize(
    ('agreements', 'keep', 'words'),
    [
        ((0.5, 0.5, 0.6), 'last', 'Is the model of epoch 1 better? Verdict without labels: keep it. The rule: patch '
         'agreement, 0.600, must pass 1.05 x 0.500, that before training. From the start to epoch 1 camera mutuality '
         'stayed at 0.400, camera mixing stayed at 0.500. A sign'),
        ((0.5, 0.45, 0.4), 'best', 'do not keep it; the run keeps (paul.keep best) the start, as it was loaded, 0.500'),
        ((0.5, 0.6, 0.4), 'last', 'do not keep it; paul.keep best would keep the start with BatchNorm statistics of'),
        ((0.5, 0.5, 0.7, 0.6), 'last', 'keep it; paul.keep best would keep the model of epoch 1, 0.700'),
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
     [{'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': float('nan'), 'mixing': 1.0}]],
)  # fmt: skip
def test_what_are_no_signs(value):
    assert signs_of(value) == []
