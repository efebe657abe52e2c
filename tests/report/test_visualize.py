"""The pictures of a run: by `tools/visualize.py`, and in TensorBoard while it trains, which they do not change."""

import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.images import colours_of
from helpers.jobs import run_embedded_job
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.commands import command, visualize
from paul_plugin.config.settings import with_keys
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.deploy.search import read_gallery
from paul_plugin.figures.sheet import BLUE, GREEN, GREY, RIGHT, WHITE, WRONG, palette
from paul_plugin.report.gallery import EXPLANATIONS, Pictures
from paul_plugin.report.pictures import run_pictures
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def runs(embedded_run, rendered, tmp_path_factory):
    """Two runs of one epoch, without and with pictures: folders."""
    return embedded_run, run_embedded_job(rendered, tmp_path_factory.mktemp('with'), 'paul.pictures_freq', '1')


def area(image, colour):
    return np.all(np.asarray(image) == colour, axis=2).sum()


PATCHES = set(palette(6))
FIGURES = {
    'patches': (['--number', '3'], PATCHES | {GREY}),
    'neighbours': (['--k', '3', '--images', '0', '--labels'], PATCHES | {RIGHT, WRONG}),
    'mining': (['--number', '2'], {GREEN, BLUE}),
    'ranking': (['--number', '3', '--k', '4'], {RIGHT, WRONG}),
}


@pytest.mark.parametrize('figure', FIGURES)
def test_the_tool_writes_a_png(runs, tmp_path, capsys, figure):
    words, colours = FIGURES[figure]
    out = tmp_path / 'new' / 'picture.png'
    command.main(visualize, [figure, str(runs[0]), *words, '--pixels', '60', '--out', str(out)])
    assert capsys.readouterr().out == f'Written to {out}\n'
    with Image.open(out) as image:
        assert (image.format, image.mode) == ('PNG', 'RGB')
        assert image.width >= 640
        assert image.height > 150
        assert colours | {WHITE} <= colours_of(image)
        assert len(image.getcolors(1 << 24)) > 1000  # people


def test_patches_of_any_crops_need_no_data_set(trained, queries):
    cfg = with_keys(trained.cfg, {'data.root': '/nowhere'})
    image = Pictures(trained._replace(cfg=cfg), 60).patches(queries[:2])
    assert colours_of(image) >= PATCHES


def test_neighbours_of_any_crop(small, queries):
    few, more = (small.neighbours(queries[:2], k=k) for k in (3, 6))
    assert more.width > few.width
    assert RIGHT not in colours_of(few) - PATCHES


def test_mining_follows_the_seed(small):
    image = small.mining(number=2)
    torch.rand(1)
    assert small.mining(number=2).tobytes() == image.tobytes()
    assert small.mining(number=2, seed=1).tobytes() != image.tobytes()
    assert small.mining(['3', '5', '7']).height > image.height


def test_the_worst_queries(small, queries):
    some, worst = (small.ranking(number=3, k=4, worst=worst) for worst in (False, True))
    assert area(worst, RIGHT) < area(some, RIGHT)
    assert small.ranking([queries[0].rpartition('/')[2]]).height < some.height


def test_a_threshold_for_the_queries_of_the_test(runs, small, tmp_path, capsys):
    _, plain = small.ranked(number=3, k=4)
    threshold = sorted(distance for each in plain for distance in each.distances)[6]
    file = tmp_path / 'found.json'
    words = ['--number', '3', '--k', '4', '--threshold', str(threshold), '--out', str(tmp_path / 'a.png')]
    command.main(visualize, ['ranking', str(runs[0]), *words, '--json', str(file)])
    rows = json.loads(file.read_text())
    assert [row['file'] for row in rows] == [path for each in plain for path in each.gallery]
    assert sum(row['known'] for row in rows) == 6
    assert capsys.readouterr().out == f'Written to {file}\nWritten to {tmp_path}/a.png\n'
    _, found = small.ranked(number=3, k=4, threshold=threshold)
    assert [' unknown' in caption for each in found for caption in each.captions] == [not row['known'] for row in rows]


@pytest.mark.parametrize(('suffix', 'dim'), [('.npz', None), ('.parquet', 16)])
def test_one_image_against_a_file_of_descriptors(runs, trained, queries, tmp_path, capsys, suffix, dim):
    crops = tmp_path / 'crops'
    crops.mkdir()
    for query in queries[:4]:
        (crops / Path(query).name).write_bytes(Path(query).read_bytes())
    described = tmp_path / f'crops{suffix}'
    extract(trained if dim is None else reduce_dimension(trained, dim), crops, described)
    found = []
    for gallery in (crops, described):
        words = ['--query', queries[0], '--gallery', str(gallery), '--out', str(tmp_path / 'search.png'), '--force']
        command.main(visualize, ['ranking', str(runs[0]), '--root', '/nowhere', *words])
        lines = capsys.readouterr().out.splitlines()[1:-1]
        found.append([(float(distance), path) for distance, path in map(str.split, lines)])
    (of_folder, of_file) = found
    assert [path for _, path in of_file[:1]] == [str(crops / Path(queries[0]).name)]
    if dim is None:
        assert [path for _, path in of_file] == [path for _, path in of_folder]
        assert [one for one, _ in of_file] == pytest.approx([one for one, _ in of_folder], abs=2e-3)
    else:
        assert [one for one, _ in of_file] != [one for one, _ in of_folder]
    torch.save(trained.model.state_dict() | {'pgn.regression.2.bias': torch.zeros(36)}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='of another model than'):
        read_gallery(open_trained(tmp_path / 'other.pth', 64, 48), described)


def test_a_centred_ranking_is_that_of_the_test(runs, rendered, tmp_path, monkeypatch):
    weights = str(runs[0] / 'model/model.pth.tar-1')
    words = ('model.load_weights', weights, 'test.evaluate', 'True', 'test.centre_cameras', 'True')
    folder = run_embedded_job(rendered, tmp_path, *words)
    tested = json.loads((folder / 'results_test.json').read_text())['adapted']
    drawn = []

    def draw(target, found, pixels):
        drawn.extend(each.precision for each in found if each.precision is not None)
        return Image.new('L', (9, 9))

    monkeypatch.setattr('paul_plugin.figures.ranked.draw_labelled', draw)
    words = ['--number', '99', '--out', str(tmp_path / 'a.png'), '--centre-cameras']
    command.main(visualize, ['ranking', str(runs[0]), *words])
    assert sum(drawn) / len(drawn) == pytest.approx(tested['mAP'], abs=1e-5)
    assert tested != json.loads((runs[0] / 'results.json').read_text())['adapted']


def test_weights_without_a_run(trained, queries, tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save(trained.model.state_dict(), weights)
    small = Pictures(open_trained(weights), 60)
    assert colours_of(small.patches(queries[:1])) >= PATCHES
    with pytest.raises(UserError, match='holds no memory bank'):
        small.neighbours(queries[:1])


def test_no_labels(small):
    items = small.datamanager.train_loader.dataset.data
    unlabelled = Pictures(small.trained)
    unlabelled.datamanager = copy.deepcopy(small.datamanager)
    unlabelled.datamanager.train_loader.dataset.data[:] = [(path, 0, *rest) for path, _, *rest in items]
    with pytest.raises(UserError, match='have no labels'):
        unlabelled.neighbours(labels=True)
    unlabelled.datamanager.test_loader = {}
    with pytest.raises(UserError, match='no labelled query and gallery images'):
        unlabelled.ranking()


def test_positives_of_a_run_with_mutual_neighbours(trained, tmp_path):
    """The picture has the images that the checkpoint names, and says where there are none."""
    small = Pictures(trained, 60)
    cfg = with_keys(trained.cfg, {'paul.positives': 'mutual'})
    cameras = len({item[2] for item in small.datamanager.train_loader.dataset.data})
    positives = torch.full((len(small.images), cameras, 2), -1)
    positives[0, 1, 0] = 5
    checkpoint = {**trained.checkpoint, 'positives': positives}
    run = Pictures(trained._replace(cfg=cfg, checkpoint=checkpoint), 60)
    found = run._positives(['0', '3'], 2)
    assert found.queries == [run.images[0], run.images[3]]
    assert found.near[0][1] == [run.images[5]]
    assert sum(map(len, found.near[0])) == 1
    assert found.near[1] == [[]] * cameras
    assert run.mining(['0', '3']).height > run.mining(['0']).height
    with pytest.raises(UserError, match='holds no positives: name a checkpoint from after an epoch'):
        Pictures(trained._replace(cfg=cfg), 60).mining()
    sign = {'name': 'filled', 'epoch': 0, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 0.5}
    start = {'path': tmp_path / 'kept.pth.tar', 'checkpoint': {'signs': [sign]}}
    torch.save({'positives': positives}, tmp_path / 'model.pth.tar-1')
    with pytest.raises(UserError, match=r'holds no positives: it is what the run keeps .*: name .*/model.pth.tar-1$'):
        Pictures(trained._replace(cfg=cfg, **start), 60).mining()


def test_no_surrogates(trained):
    cfg = with_keys(trained.cfg, {'data.transforms': ['random_flip']})
    with pytest.raises(UserError, match='nothing to mine'):
        Pictures(trained._replace(cfg=cfg)).mining()


REFUSED = {
    'no query': (['ranking', '--gallery', '.'], '--query and --gallery go together'),
    'camera of no query': (['ranking', '--camera', '1'], '--camera is that of --query'),
    'no image': (['patches', '--images', 'me.jpg'], 'me.jpg is none of the 48 images'),
    'no data': (['mining', '--root', '/nowhere'], 'expected the folder /nowhere/synthetic_target'),
    'a folder': (['ranking', '--csv', '/'], '/ is a folder: name the file to write'),
    'no PNG': (['patches', '--number', '1', '--out', 'a.gif'], 'a.gif'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refuses_in_one_line(runs, capsys, name):
    (figure, *words), expected = REFUSED[name]
    with pytest.raises(SystemExit) as stop:
        command.main(visualize, [figure, str(runs[0]), *words])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
    assert expected in line


def headings(drawn):
    return [heading for heading, *_ in drawn]


def test_all_pictures_of_a_run(trained):
    told = []
    names = ['Learned patches', 'Nearest neighbours in the memory bank', 'Cyclic ranking', 'Rankings', 'Distances']
    assert headings(run_pictures(trained, 60, told.append)) == names
    assert told == []
    bare = trained._replace(checkpoint={})
    assert headings(run_pictures(bare, 60, told.append)) == [names[0], *names[2:]]
    assert len(told) == 1
    assert told[0].startswith('neighbours: not drawn: ')


def test_curves_and_report_by_the_tool(runs, tmp_path, capsys):
    out = tmp_path / 'curves.png'
    command.main(visualize, ['curves', *map(str, runs), '--out', str(out)])
    assert capsys.readouterr().out == f'Written to {out}\n'
    with Image.open(out) as image:
        assert image.width >= 1400
    out = tmp_path / 'new' / 'report.html'
    command.main(visualize, ['report', str(runs[0]), '--pixels', '60', '--out', str(out)])
    page = out.read_text()
    assert all(text in page for text, _ in EXPLANATIONS.values())
    assert page.count('src="data:image/') == 6
    assert '<th scope="col">same pairs found</th>' in page
    with pytest.raises(SystemExit) as stop:
        command.main(visualize, ['report', str(runs[0]), '--out', str(tmp_path / 'report.png')])
    assert stop.value.code == 2
    assert 'ends in .html' in capsys.readouterr().err


def test_pictures_in_tensorboard_change_nothing(runs):
    without, with_them = (read_checkpoint(folder / 'model/model.pth.tar-1') for folder in runs)
    for part in ('state_dict', 'memory'):
        assert without[part].keys() == with_them[part].keys()
        assert all(value.equal(with_them[part][name]) for name, value in without[part].items())
    assert without['history'] == with_them['history']
    assert without['random']['torch'].equal(with_them['random']['torch'])
    assert without['random']['python'] == with_them['random']['python']
    found = [EventAccumulator(str(folder), {'images': 0}).Reload() for folder in runs]
    assert found[0].Tags()['images'] == []
    tags = ['mining', 'neighbours', 'patches', 'ranking synthetic_target']
    assert sorted(found[1].Tags()['images']) == [f'pictures/{tag}' for tag in tags]
    for tag in found[1].Tags()['images']:
        (event,) = found[1].Images(tag)
        image = Image.open(io.BytesIO(event.encoded_image_string))
        assert event.step == 1
        assert min(image.size) > 300
        assert len(image.getcolors(1 << 24)) > 1000
