"""The rendered data sets: reproducible, in the benchmarks' layouts, never half written, people that share garments."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.layouts import LAYOUTS
from torchreid import data

from paul_plugin.data.synthetic.cameras import render_image
from paul_plugin.data.synthetic.datasets import CLASSES, SYNTHETIC
from paul_plugin.data.synthetic.domains import DOMAINS, MAX_PID
from paul_plugin.data.synthetic.people import PIECES, people
from paul_plugin.data.synthetic.render import VERSION, render

COUNTS = {'train_ids': 3, 'test_ids': 3, 'images_per_id': 5}
HOST_CLASSES = {'market1501': 'Market1501', 'dukemtmcreid': 'DukeMTMCreID', 'msmt17': 'MSMT17'}


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('root') / 'market1501'
    render(folder, 'target', 3, **COUNTS)
    return folder


def test_same_seed_same_bytes(folder, tmp_path):
    render(tmp_path / 'again', 'target', 3, **COUNTS)
    assert files(tmp_path / 'again') == files(folder)


@pytest.mark.parametrize(('domain', 'seed'), [('target', 4), ('source', 3), ('hard', 3)])
def test_seed_and_domain_decide_the_pixels(domain, seed):
    image = render_image('target', 3, pid=1, camera=1, index=0)
    assert (image.size, image.mode) == ((64, 128), 'RGB')
    assert image.tobytes() != render_image(domain, seed, pid=1, camera=1, index=0).tobytes()


def test_an_image_does_not_depend_on_what_else_is_rendered(folder, tmp_path):
    render(tmp_path / 'more', 'target', 3, **{**COUNTS, 'train_ids': 4})
    train = 'Market-1501-v15.09.15/bounding_box_train'
    few, more = files(folder / train), files(tmp_path / 'more' / train)
    assert few == {name: more[name] for name in few}
    assert len(more) == len(few) + COUNTS['images_per_id']


@pytest.mark.parametrize('layout', HOST_CLASSES)
def test_the_host_reads_every_layout(tmp_path, layout):
    render(tmp_path / 'rendered', 'source', 0, **COUNTS)
    LAYOUTS[layout](tmp_path / 'rendered')
    host_class = getattr(data.datasets, HOST_CLASSES[layout])
    dataset = type('Rendered', (host_class,), {'dataset_dir': 'rendered'})(root=str(tmp_path), verbose=False)

    validation = COUNTS['train_ids'] if layout == 'msmt17' else 0  # MSMT17 keeps some training images aside
    assert len(dataset.train) == COUNTS['train_ids'] * COUNTS['images_per_id'] - validation
    assert len(dataset.query) + len(dataset.gallery) == COUNTS['test_ids'] * COUNTS['images_per_id']
    assert {pid for _, pid, *_ in dataset.train} == set(range(COUNTS['train_ids']))
    assert len({pid for _, pid, *_ in dataset.query}) == COUNTS['test_ids']
    assert all(Path(path).is_file() for path, *_ in [*dataset.train, *dataset.query, *dataset.gallery])
    dataset[0]  # opens the first image

    for _, pid, camera, *_ in dataset.query:
        assert any(other == pid and seen != camera for _, other, seen, *_ in dataset.gallery)
    queries = [(pid, camera) for _, pid, camera, *_ in dataset.query]
    assert len(queries) == len(set(queries))  # one per person and camera


def test_the_domains_lie_side_by_side_in_one_root(tmp_path):
    assert sorted(SYNTHETIC.values()) == sorted(DOMAINS)
    for name, domain in SYNTHETIC.items():
        render(tmp_path / name, domain, 0, **COUNTS)
    seen = set()
    for name, made in CLASSES.items():
        train = made(root=str(tmp_path), verbose=False).train
        assert all(Path(path).is_relative_to(tmp_path / name) for path, *_ in train)
        seen.add(Path(train[0][0]).read_bytes())
    assert len(seen) == len(CLASSES)


def test_train_and_test_people_are_disjoint(folder):
    pids = {
        name: {int(path.name[:4]) for path in (folder / 'Market-1501-v15.09.15' / name).iterdir()}
        for name in ('bounding_box_train', 'query', 'bounding_box_test')
    }
    assert not pids['bounding_box_train'] & pids['bounding_box_test']
    assert pids['query'] == pids['bounding_box_test']


@pytest.mark.parametrize('domain', DOMAINS)
def test_people_share_garments_but_never_all(domain):
    settings = DOMAINS[domain]
    everyone = people(settings, 0)
    assert len(everyone) == MAX_PID
    first = everyone[:150]
    for piece, most in (('upper', settings.uppers), ('lower', settings.lowers), ('shoes', settings.shoes)):
        assert 2 < len({getattr(person, piece) for person in first}) <= most
    outfits = [person[: len(PIECES)] for person in first]
    apart = [sum(a != b for a, b in zip(*pair)) for pair in itertools.combinations(outfits, 2)]
    assert min(apart) >= settings.pieces_apart
    assert len({person[: len(PIECES)] for person in everyone}) == MAX_PID


def test_a_wardrobe_too_small_for_everyone_is_an_error():
    small = replace(DOMAINS['source'], uppers=2, lowers=2, bags=1)
    with pytest.raises(ValueError, match='pieces_apart=2'):
        people(small, 0)


def test_interrupted_rendering_leaves_nothing(tmp_path):
    def interrupt(done, total):
        assert not (tmp_path / 'data').exists()
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / 'data', 'source', 0, progress=interrupt, **COUNTS)
    assert not list(tmp_path.iterdir())


def test_another_process_may_finish_first(folder, tmp_path):
    def finish_elsewhere(done, total):
        if done == total:
            shutil.copytree(folder, tmp_path / 'data')

    render(tmp_path / 'data', 'target', 3, progress=finish_elsewhere, **COUNTS)
    assert [path.name for path in tmp_path.iterdir()] == ['data']


def test_a_finished_data_set_is_kept(folder):
    done = []
    manifest = render(str(folder), 'target', 3, progress=lambda *count: done.append(count), **COUNTS)
    assert not done
    assert (manifest['domain'], manifest['seed'], manifest['version']) == ('target', 3, VERSION)
    assert manifest['layout'] == 'market1501'  # in the manifests that users have


def refusal(folder, domain='target', seed=3, **counts):
    with pytest.raises(FileExistsError) as caught:
        render(folder, domain, seed, **{**COUNTS, **counts})
    message = str(caught.value)
    assert '\n' not in message
    assert str(folder) in message
    assert 'choose another root or delete the folder' in message
    return message


def test_another_data_set_is_not_overwritten(folder, monkeypatch):
    before = files(folder)
    message = refusal(folder, seed=4, test_ids=2)
    assert 'seed 3 instead of 4' in message
    assert 'test_ids 3 instead of 2' in message
    monkeypatch.setitem(DOMAINS, 'target', replace(DOMAINS['target'], occlusion=0.5))
    assert 'settings of the domain' in refusal(folder)
    assert files(folder) == before


@pytest.mark.parametrize('content', [None, '{', '[]'])
def test_a_foreign_folder_is_not_overwritten(tmp_path, content):
    if content:
        (tmp_path / 'manifest.json').write_text(content)
    assert 'no readable manifest.json' in refusal(tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'domain': 'sauce'}, ["domain is 'sauce'", 'source, target']),
        ({'seed': -1}, ['seed is -1', '0..4294967295']),
        ({'train_ids': 1}, ['train_ids is 1', '2..1499']),
        ({'train_ids': 1400, 'test_ids': 102}, ['test_ids is 102', '2..101']),
        ({'images_per_id': 3}, ['images_per_id is 3', '4..600']),
    ],
)
def test_values_out_of_range(tmp_path, arguments, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are checked below
        render(tmp_path / 'data', **{'domain': 'source', 'seed': 0, **COUNTS, **arguments})
    assert all(word in str(caught.value) for word in words), caught.value
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('name', 'value'), [('pid', 0), ('pid', 1502), ('camera', 0), ('camera', 7), ('index', -1)])
def test_image_out_of_range(name, value):
    with pytest.raises(ValueError, match=f'{name} is {value}, must be in '):
        render_image('source', 0, **{'pid': 1, 'camera': 1, 'index': 0, name: value})
