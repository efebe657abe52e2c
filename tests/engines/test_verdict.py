"""The verdict's words and the choice of the model to keep, by made-up signs."""

import pytest

from paul_plugin.engines.verdict import UNKNOWN, best_of, signs_of, verdict


def signs(*mutualities):
    names = ['start', 'filled', *(f'epoch {number}' for number in range(1, len(mutualities)))]
    return [
        {'name': name, 'epoch': max(0, place - 1), 'mutuality': mutuality, 'mixing': 0.5}
        for place, (name, mutuality) in enumerate(zip(names, mutualities, strict=False))
    ]


@pytest.mark.parametrize(
    ('mutualities', 'best'),
    [
        ((0.5, 0.4), 'start'),
        ((0.5, 0.6, 0.55), 'filled'),
        ((0.5, 0.5, 0.7, 0.6), 'epoch 1'),
        ((0.5, 0.5, 0.7, 0.7), 'epoch 1'),
        ((0.5, 0.6, 0.7, 0.8), 'epoch 2'),
    ],
)
def test_the_best(mutualities, best):
    assert best_of(signs(*mutualities))['name'] == best


def test_the_best_by_both_signs():
    found = signs(0.5, 0.6, 0.55)
    found[2]['mixing'] = 0.6  # 0.55 * 0.6 is more than 0.6 * 0.5
    assert best_of(found)['name'] == 'epoch 1'


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
    ('mutualities', 'keep', 'words'),
    [
        ((0.5, 0.5, 0.6), 'last', 'mutuality rose from 0.500 to 0.600, camera mixing stayed at 0.500. They speak for '
         'keeping the adapted model. A sign'),
        ((0.5, 0.45, 0.4), 'best', 'mutuality fell from 0.500 to 0.400, camera mixing stayed at 0.500. They speak for '
         'keeping the start, as it was loaded, not the last epoch, as the run does (paul.keep best)'),
        ((0.5, 0.6, 0.4), 'last', 'keeping the start with BatchNorm statistics of the new cameras, not the last epoch, '
         'which paul.keep best would have done'),
        ((0.5, 0.5, 0.7, 0.6), 'last', 'to epoch 2: camera mutuality rose from 0.500 to 0.600, camera mixing stayed '
         'at 0.500. They speak for keeping the model of epoch 1, not'),
    ],
)  # fmt: skip
def test_the_words(mutualities, keep, words):
    assert words in verdict(signs(*mutualities), keep=keep)
    assert '\n' not in verdict(signs(*mutualities), keep=keep)


def test_recall_where_it_is_recorded():
    history = [{'epoch': 1, 'recall': 0.7}, {'epoch': 2, 'recall': 0.2}]
    assert 'bank recall, from the first epoch on, fell from 0.700 to 0.200' in verdict(signs(0.5, 0.5, 0.4), history)
    assert 'recall' not in verdict(signs(0.5, 0.5, 0.4), [{'epoch': 1}])


def test_unknown_cameras():
    assert verdict([]) == UNKNOWN


@pytest.mark.parametrize(
    'value', [None, {}, 'signs', [1], [{}], [{'name': 'start', 'epoch': 0, 'mutuality': float('nan'), 'mixing': 1.0}]]
)
def test_what_are_no_signs(value):
    assert signs_of(value) == []
