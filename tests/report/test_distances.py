"""Which distance means the same person: against a loop over all pairs, and what is told without labels."""

import json
import re

import numpy as np
import pytest
from helpers.images import colours_of
from PIL import Image

from paul_plugin.commands import command, visualize
from paul_plugin.deploy.as_tested import described, distances
from paul_plugin.figures.sheet import BLUE, GREEN
from paul_plugin.report.gallery import Pictures
from paul_plugin.report.thresholds import measured
from paul_plugin.report.thresholds.measured import labelled_threshold, measure
from paul_plugin.report.thresholds.pairs import Pairs
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


def test_distances_are_those_of_every_pair(embedded_run, trained, rendered, tmp_path, capsys):
    """By a loop over all pairs, in the picture's numbers and on the terminal."""
    out = tmp_path / 'd.png'
    command.main(visualize, ['distances', str(embedded_run), '--out', str(out)])
    lines = capsys.readouterr().out.splitlines()
    numbers = json.loads(out.with_suffix('.json').read_text())
    top = next(rendered.glob('synthetic_target/*/query')).parent
    parts = [sorted(map(str, (top / part).iterdir())) for part in ('query', 'bounding_box_test')]
    matrix = distances(trained, *(described(trained, part) for part in parts))
    kinds = {'same': [], 'different': []}
    for row, query in zip(matrix.tolist(), parts[0], strict=True):
        for distance, image in zip(row, parts[1], strict=True):
            (person, camera), (other, place) = (re.findall(r'(\d+)_c(\d)', path)[-1] for path in (query, image))
            if camera != place:
                kinds['same' if person == other else 'different'].append(distance)
    assert numbers['pairs'] == {kind: len(found) for kind, found in kinds.items()}
    for asked, each, line in zip((0.001, 0.01, 0.05), numbers['thresholds'], lines[3:6], strict=True):
        if len(kinds['different']) * asked < 1:
            assert each['threshold'] is None
            assert f'too few pairs: {len(kinds["different"])} of {round(1 / asked)}' in line
            continue
        nearer = {kind: sum(d < each['threshold'] for d in found) for kind, found in kinds.items()}
        allowed = int(asked * len(kinds['different']))
        assert each['asked'] == asked
        assert abs(nearer['different'] - allowed) <= 1  # a distance may differ in its last digit
        assert each['same'] == pytest.approx(nearer['same'] / len(kinds['same']), abs=1.5 / len(kinds['same']))
        assert line.split()[-2:] == [f'{100 * each["same"]:.1f}', '%']
        assert f'{each["threshold"]:.4f}' in line
    assert sum(numbers['histogram']['same']) == len(kinds['same'])
    assert numbers['roc']['same'][-1] == 1
    assert lines[-2:] == [f'Written to {out}', f'Written to {out.with_suffix(".json")}']
    with Image.open(out) as image:
        assert {GREEN, BLUE} <= colours_of(image)


@pytest.mark.parametrize('pattern', ['', r'day (\d)'])
def test_distances_without_labels(embedded_run, bare, tmp_path, capsys, pattern):
    """Of each crop the nearest one, by cameras where they are known; and what cannot be said."""
    out = tmp_path / 'd.png'
    of_folder = ['data.sources', "['folder']", 'data.targets', "['folder']"]
    words = [*of_folder, 'folder.path', str(bare), 'folder.camera', pattern]
    command.main(visualize, ['distances', str(embedded_run), '--out', str(out), '--opts', *words])
    told = capsys.readouterr().out
    assert 'Without labels it cannot be said which of these crops show the same person, and so no threshold' in told
    numbers = json.loads(out.with_suffix('.json').read_text())
    trained = open_trained(embedded_run)
    paths = sorted(map(str, bare.rglob('*.jpg')))
    rows = described(trained, paths)
    matrix = distances(trained, rows, rows).fill_diagonal_(9)
    if not pattern:
        assert list(numbers['nearest']) == ['1']
        median = matrix.min(1).values.quantile(0.5).item()
        assert numbers['nearest']['1']['1'][2] == pytest.approx(median, abs=1e-4)
        return
    days = np.array([re.search(pattern, path)[1] for path in paths])
    assert list(numbers['nearest']) == list('012')
    between = matrix[days == '0'][:, days == '2'].min(1).values.quantile(0.5).item()
    assert numbers['nearest']['0']['2'][2] == pytest.approx(between, abs=1e-4)
    assert f'{between:.4f}' in next(line for line in told.splitlines() if line.startswith('crops of 0'))


def test_too_few_to_measure_is_told(trained, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(measured, 'split_pairs', lambda *_: Pairs(np.zeros(3), np.zeros(0)))
        with pytest.raises(UserError, match='synthetic_target: no pairs of different persons from two cameras'):
            measure(Pictures(trained))
    monkeypatch.setattr(Pictures, 'tested', None)
    assert labelled_threshold(trained) == (
        None, 'no threshold: synthetic_target has no labelled query and gallery images; --threshold names one'
    )  # fmt: skip
    monkeypatch.setattr(measured, 'items_of', lambda _: {'train': [('a.jpg', 0, 0)]})
    with pytest.raises(UserError, match='^1 training images: distances need two$'):
        measure(Pictures(trained))
