"""`fast_rank` against torchreid's Python evaluation, to the last digit, and against the definition of CMC and mAP."""

import numpy as np
import pytest
import torchreid

from paul_plugin.host.evaluation import fast_rank


def random_case(seed, queries, gallery, people=8, cameras=3, dtype=np.float32, levels=0):
    """Arguments of torchreid's `evaluate_rank`; with `levels`, distances of so few values that most are ties."""
    draw = np.random.default_rng(seed)
    distances = draw.random((queries, gallery))
    if levels:
        distances = np.floor(levels * distances) / levels
    pids = [draw.integers(0, people, size) for size in (queries, gallery)]
    camids = [draw.integers(0, cameras, size) for size in (queries, gallery)]
    return [distances.astype(dtype), *pids, *camids]


def without_matches():
    """A query of an unknown person, and one whose person is in the gallery from its own camera alone."""
    case = random_case(3, 30, 400)
    _, q_pids, g_pids, q_camids, g_camids = case
    q_pids[4] = 99
    q_pids[7], g_pids[g_pids == 5] = 5, 6
    g_pids[[3, 200]], g_camids[[3, 200]] = 5, q_camids[7]
    return case


def small_gallery():
    """20 images, none from the queries' cameras: torchreid fails where junk shortens rankings unequally."""
    case = random_case(4, 25, 20, people=4)
    case[3] += 3
    return case


def repeated_rows():
    """Each image of query and gallery several times, the matrix in the order of its columns."""
    case = random_case(5, 10, 40, dtype=np.float64, levels=30)
    rows, columns = np.tile(np.arange(10), 3), np.tile(np.arange(40), 20)
    distances, q_pids, g_pids, q_camids, g_camids = case
    repeated = np.asfortranarray(distances[rows][:, columns])
    return [repeated, q_pids[rows], g_pids[columns], q_camids[rows], g_camids[columns]]


CASES = {
    'float64': lambda: random_case(1, 60, 700, people=40, cameras=6, dtype=np.float64),
    'float32, mostly ties': lambda: random_case(2, 90, 1500, levels=4),
    'queries without a match': without_matches,
    'a gallery smaller than the curve': small_gallery,
    'repeated rows': repeated_rows,
}


@pytest.mark.parametrize('name', CASES)
def test_the_numbers_of_torchreid(name, capsys):
    case = CASES[name]()
    cmc, mean_ap = torchreid.metrics.evaluate_rank(*case, use_cython=False)
    printed = capsys.readouterr().out
    ours, our_mean_ap = fast_rank(*case)
    assert np.array_equal(ours, cmc)
    assert ours.dtype == cmc.dtype == np.float32
    assert our_mean_ap == mean_ap
    assert type(our_mean_ap) is type(mean_ap)
    assert 0 < mean_ap < 1
    assert capsys.readouterr().out == printed
    assert ('quite small' in printed) == (name == 'a gallery smaller than the curve')
    assert np.array_equal(fast_rank(*case, max_rank=7)[0], cmc[:7])


def definition(distances, q_pids, g_pids, q_camids, g_camids, max_rank=50):
    """In loops: precision at each match, its mean over a query's matches; whether a match is among the first r."""
    precisions, curves = [], []
    for q in range(len(q_pids)):
        valid = [g for g in range(len(g_pids)) if (g_pids[g], g_camids[g]) != (q_pids[q], q_camids[q])]
        valid.sort(key=lambda g, q=q: distances[q, g])
        matches = [g_pids[g] == q_pids[q] for g in valid]
        if any(matches):
            precisions.append(np.mean([np.mean(matches[: r + 1]) for r, match in enumerate(matches) if match]))
            curves.append([any(matches[: r + 1]) for r in range(min(max_rank, len(g_pids)))])
    return np.mean(curves, axis=0), np.mean(precisions)


@pytest.mark.parametrize('case', [CASES['float64'](), without_matches(), random_case(6, 12, 49, people=3)])
def test_the_definition(case):
    """In the last case junk images leave rankings of different lengths, shorter than the curve."""
    cmc, mean_ap = fast_rank(*case)
    expected, expected_mean_ap = definition(*case)
    np.testing.assert_allclose(cmc, expected[: len(cmc)], rtol=1e-6)
    assert (expected[len(cmc) :] == 1).all()
    assert mean_ap == pytest.approx(expected_mean_ap, rel=1e-12)


def test_no_match_at_all():
    case = random_case(7, 3, 60)
    case[1] += 100
    for evaluate in (fast_rank, torchreid.metrics.evaluate_rank):
        with pytest.raises(AssertionError, match=r'^Error: all query identities do not appear in gallery$'):
            evaluate(*case)


def measured(engine, capsys, **options):
    """Results of a test, and what it prints but for the time."""
    engine.test(dist_metric='cosine', **options)
    lines = capsys.readouterr().out.splitlines()
    return engine.results, [line for line in lines if not line.startswith('Speed: ')]


def test_an_engine_with_and_without_it(make_engine, capsys, monkeypatch):
    """On rendered images; torchreid's evaluation is not called where ours is."""
    engine = make_engine()
    capsys.readouterr()
    expected = measured(engine, capsys)
    assert 'Rank-20 : ' in expected[1][-1]
    engine.fast_rank = True
    with monkeypatch.context() as patch:
        patch.setattr(torchreid.metrics, 'evaluate_rank', None)
        assert measured(engine, capsys) == expected


def test_the_metric_of_cuhk03_stays_torchreids(make_engine, capsys):
    found = []
    engine = make_engine()
    for fast in (False, True):
        engine.fast_rank = fast
        np.random.seed(1)
        found.append(measured(engine, capsys, use_metric_cuhk03=True)[0])
    assert found[0] == found[1] != measured(engine, capsys)[0]


@pytest.mark.parametrize('fast', [False, True])
def test_rankings_that_end_at_different_places(make_engine, make_datamanager, fast):
    """One gallery image from a query's own camera, in a gallery of less than 50: torchreid alone fails."""
    datamanager = make_datamanager()
    query, gallery = (datamanager.test_loader['synthetic_target'][part].dataset.data for part in ('query', 'gallery'))
    gallery.append(query[0])
    assert len(gallery) < 50
    engine = make_engine(datamanager)
    engine.fast_rank = fast
    engine.test(dist_metric='cosine')
    assert 0 < engine.results['synthetic_target']['mAP'] < 1
