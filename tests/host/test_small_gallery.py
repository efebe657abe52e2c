"""Ranks that a gallery is too small for: of three images, everybody is among the first five."""

import numpy as np
import torchreid

from paul_plugin.host.evaluation import recorded_results, untold
from paul_plugin.run.record import show_results


def measured(images):
    distances = np.linspace(0, 1, images, dtype=np.float32)[None]
    people = np.arange(images)
    with recorded_results() as results:
        cmc, _ = torchreid.metrics.evaluate_rank(distances, people[-1:], people, people[-1:] * 0, people * 0 + 1)
    return results[0], cmc


def test_only_ranks_below_the_gallerys_size_are_told():
    for images, told in ((3, {'rank1'}), (5, {'rank1'}), (6, {'rank1', 'rank5'}), (11, {'rank1', 'rank5', 'rank10'})):
        result, cmc = measured(images)
        assert result.keys() == {'mAP', *told}, images
        assert [f'rank{rank}' in told for rank in (1, 5, 10)] == np.isfinite(cmc[[0, 4, 9]]).tolist()


def test_what_is_said_of_the_others(capsys):
    assert untold('Rank-20 : nan%') == 'Rank-20 : too few images in the gallery'
    assert untold('Rank-1  : 50.0%') == 'Rank-1  : 50.0%'
    show_results({'adapted': {'folder': {'mAP': 0.5, 'rank1': 0.25}}})
    row, note = capsys.readouterr().out.splitlines()[-2:]
    assert row.split() == ['adapted', '50.0', '25.0', '-', '-']
    assert note == '-: the gallery has no more images than that'
