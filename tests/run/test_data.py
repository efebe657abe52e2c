"""The data of a run are looked at before it starts: labels, folders and samplers that torchreid reads otherwise."""

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torchreid
from helpers.crops import market1501, picture, pictures, refusal

from paul_plugin.config.checks import check_config
from paul_plugin.config.keys import get_default_config
from paul_plugin.data import folder
from paul_plugin.host import module_of
from paul_plugin.host.data import reads_people
from paul_plugin.host.engine import set_random_seed
from paul_plugin.run.data import build_datamanager, check_data, check_datasets, to_render
from paul_plugin.runtime.errors import UserError


@pytest.fixture
def config(tmp_path):
    """Makes the config of a job on a data set of torchreid, or on a folder."""

    def make(root, name='market1501', **sampler):
        cfg = get_default_config()
        cfg.data.update({'root': str(root), 'sources': [name], 'targets': [name], 'workers': 0, 'height': 48})
        cfg.data.update({'width': 24, 'save_dir': str(tmp_path / 'log'), 'transforms': ['surrogate_positive']})
        cfg.folder.path = str(root) if name == 'folder' else ''
        cfg.train.batch_size = 6
        cfg.loss.name = 'paul'
        cfg.sampler.update(sampler)
        return cfg

    return make


def look_at(cfg):
    check_datasets(cfg)
    datamanager = build_datamanager(cfg)
    check_data(cfg, datamanager)
    return datamanager


# ---- true matches ----------------------------------------------------------------------------------------------------


def test_every_query_has_a_true_match(config, market, capsys):
    look_at(config(market.root))
    assert 'do not count' not in capsys.readouterr().out


def test_queries_without_a_true_match_are_counted_out_loud(config, market, capsys):
    for person in (101, 103, 106):
        for path in (market.folder / 'bounding_box_test').glob(f'0{person}_c2*'):
            path.unlink()
    picture(market.folder / 'query/-1_c1s1_000001_09.jpg')  # junk counts neither way
    look_at(config(market.root))
    assert 'market1501: 3 of 6 queries have no true match in another camera and do not count' in capsys.readouterr().out


def test_no_true_match_at_all_is_refused_with_the_way_out(config, tmp_path):
    market = market1501(tmp_path / 'one', cameras=(1,))
    message = refusal(look_at, config(market.root))
    assert message.startswith('market1501: none of 6 queries has a true match')
    assert '_c1s1_000' in message
    assert 'person 10' in message
    assert 'camera 1)' in message
    assert 'if there is one camera, use the data set folder with sub-folders query/PERSON' in message


def test_the_way_out_of_one_camera_is_one(config, tmp_path):
    market = market1501(tmp_path / 'one', cameras=(1,))
    top = tmp_path / 'crops'
    for part, of in (('query', 'query'), ('gallery', 'bounding_box_test'), ('train', 'bounding_box_train')):
        for path in (market.folder / of).iterdir():
            to = top / part / path.name[:4] / path.name.replace('_c1', '_')
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    datamanager = look_at(config(top, 'folder'))
    assert len(datamanager.test_loader['folder']['query'].dataset) == 6


def test_a_folder_s_queries_are_counted_too(config, tmp_path, capsys):
    train = [f'{number}.jpg' for number in range(12)]
    top = pictures(tmp_path / 'crops', 'query/anna/1.jpg', 'gallery/anna/2.jpg', 'query/bob/3.jpg', *train)
    look_at(config(top, 'folder'))
    out = capsys.readouterr().out
    assert 'folder: 1 of 2 queries have no true match in another camera and do not count' in out
    assert '  read: query/anna/1.jpg: person anna, camera query\n' in out


def test_the_run_s_own_folder_holds_no_crops(config, tmp_path, capsys):
    top = pictures(tmp_path / 'crops', *(f'{number}.jpg' for number in range(12)), 'log/visrank_folder/1.jpg')
    cfg = config(top, 'folder')
    cfg.data.save_dir = str(top / 'log')
    assert len(look_at(cfg).train_loader.dataset) == 12
    assert '  left out: folder that a run writes to (1): log\n' in capsys.readouterr().out


# ---- what torchreid misreads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('site7_c2', "torchreid takes '7_c2' in the path FOLDER/market1501 for person and camera of every image"),
        ('data [2024]', 'torchreid takes *, ? and [ in FOLDER/market1501 for a pattern'),
        ('what?', 'torchreid takes *, ? and [ in FOLDER/market1501 for a pattern'),
    ],
)
def test_a_root_that_torchreid_would_misread_is_refused(config, tmp_path, name, expected):
    market = market1501(tmp_path / name)
    message = refusal(look_at, config(market.root))
    assert message.startswith('market1501: ' + expected.replace('FOLDER', str(market.root)))
    assert message.endswith('rename the folder, or name it by a link without that')
    os.symlink(market.root, tmp_path / 'link')
    datamanager = look_at(config(tmp_path / 'link'))
    query = datamanager.test_loader['market1501']['query'].dataset
    assert sorted(item[1:3] for item in query.data) == [(person, 0) for person in range(101, 107)]


def test_the_rendered_data_have_the_same_reader(config, tmp_path):
    cfg = config(tmp_path / 'site7_c2', 'synthetic_target')
    with pytest.raises(Exception, match="takes '7_c2' in the path"):
        check_datasets(cfg, made=['synthetic_target'])


def test_a_root_with_brackets_is_no_matter_to_a_data_set_that_has_a_list(config, tmp_path):
    (tmp_path / 'data [2024]/msmt17').mkdir(parents=True)
    check_datasets(config(tmp_path / 'data [2024]', 'msmt17'))


@pytest.mark.parametrize('suffix', ['png', 'JPG'])
def test_other_suffixes_are_no_images(config, tmp_path, suffix):
    market = market1501(tmp_path / 'data', suffix=suffix, people=3)
    message = refusal(look_at, config(market.root))
    assert 'no train and no query and no gallery images of the names that torchreid reads' in message


def test_a_few_of_another_suffix_are_told(config, market, capsys):
    for number in range(3):
        picture(market.folder / f'query/000{number}_c1s1_000001_01.png', 'PNG')
    look_at(config(market.root))
    out = capsys.readouterr().out
    assert 'warning: 3 .png beside the images are not read by torchreid; the data set folder reads them' in out


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('0101_c7s1_000001_09.jpg', 'AssertionError: assert 1 <= camid <= 6'),
        ('1502_c1s1_000001_09.jpg', 'AssertionError: assert 0 <= pid <= 1501'),
        ('anna.jpg', "AttributeError: 'NoneType' object has no attribute 'groups'"),
    ],
)
def test_a_name_that_torchreid_does_not_take_is_told(config, market, name, expected):
    path = picture(market.folder / 'query' / name)
    assert f'({path}: {expected})' in refusal(look_at, config(market.root))


# ---- people ----------------------------------------------------------------------------------------------------------


def test_a_sampler_that_reads_people_is_refused(config, market, make_datamanager):
    cfg = config(market.root, train_sampler='RandomIdentitySampler', num_instances=2)
    cfg.loss.name, cfg.model.name = 'paul', 'paul'
    cfg.data.width, cfg.train.batch_size = 48, 8
    message = refusal(check_config, cfg)
    assert message.startswith("sampler.train_sampler = 'RandomIdentitySampler': ")
    assert message.endswith('set RandomSampler')
    cfg.loss.name, cfg.data.transforms = 'softmax', ['random_flip']
    assert reads_people(look_at(cfg))
    assert reads_people(make_datamanager(train_sampler='RandomIdentitySampler', num_instances=2))


@pytest.mark.parametrize(
    'sampler', ['RandomSampler', 'SequentialSampler', 'RandomDomainSampler', 'RandomDatasetSampler']
)
def test_the_order_of_other_samplers_is_the_same_whoever_is_on_the_images(config, market, sampler):
    datamanager = look_at(config(market.root, train_sampler=sampler))
    assert not reads_people(datamanager)
    build = module_of(torchreid.data.ImageDataManager).build_train_sampler
    orders = []
    for shift in (0, 1):
        items = [(path, pid * shift, *rest) for path, pid, *rest in datamanager.train_loader.dataset.data]
        set_random_seed(0)
        orders.append(list(build(items, sampler, batch_size=6)))
    assert orders[0] == orders[1]


# ---- whose fault it is -----------------------------------------------------------------------------------------------


def test_a_mistake_of_ours_is_not_blamed_on_the_data(config, tmp_path, monkeypatch):
    """In a function of ours that torchreid calls."""
    monkeypatch.setattr(folder, 'allow_empty', None)
    with pytest.raises(TypeError, match='not callable'):
        build_datamanager(config(pictures(tmp_path / 'crops', '1.jpg'), 'folder'))


def test_memory_that_runs_out_is_not_blamed_on_the_data(config, market, monkeypatch):
    def exhausted(*args):
        raise MemoryError

    monkeypatch.setattr(torchreid.data.Dataset, 'get_num_pids', exhausted)
    with pytest.raises(MemoryError):
        build_datamanager(config(market.root))


@pytest.fixture
def old_python(monkeypatch):
    """Debian 12's Python 3.11.2: tarfile has no filters."""
    monkeypatch.delattr(tarfile, 'data_filter', raising=False)  # which 3.11.2 lacks by itself
    monkeypatch.delattr(tarfile.TarFile, 'extraction_filter', raising=False)


def test_data_that_are_there_are_read_by_a_python_without_filters(old_python, config, market):
    assert len(look_at(config(market.root)).train_loader.dataset) == 12


def test_a_download_without_a_filter_is_refused(old_python, tmp_path):
    url = (tmp_path / 'archive.tar').as_uri()

    class Remote(torchreid.data.datasets.image.market1501.Market1501):
        dataset_url = url

    message = refusal(lambda: Remote(str(tmp_path / 'data')))
    assert message.startswith('Remote is not downloaded: this Python cannot extract an archive safely')
    assert url in message
    assert not (tmp_path / 'data').exists()


@pytest.mark.skipif(not hasattr(tarfile, 'data_filter'), reason='this Python has no filter of archives')
def test_an_archive_stays_in_its_folder(tmp_path, market):
    """A real download, of a file; the entry that leads out is refused, the filter is taken back."""
    outside = tmp_path / 'x.txt'
    outside.write_text('planted')
    with tarfile.open(tmp_path / 'archive.tar', 'w') as archive:
        archive.add(outside, '../../planted.txt')
    outside.unlink()
    before = tarfile.TarFile.__dict__.get('extraction_filter')
    dataset = object.__new__(torchreid.data.ImageDataset)
    with pytest.raises(zipfile.BadZipFile):  # torchreid takes what was refused for a zip file
        dataset.download_dataset(str(tmp_path / 'a/b/c'), Path(tmp_path, 'archive.tar').as_uri())
    assert not list(tmp_path.rglob('planted.txt'))
    assert tarfile.TarFile.__dict__.get('extraction_filter') == before


def test_a_folder_of_something_else_is_not_rendered_into(config, tmp_path):
    (tmp_path / 'synthetic_target').mkdir()
    (tmp_path / 'synthetic_target/notes.txt').touch()
    with pytest.raises(UserError, match='synthetic_target'):
        to_render(config(tmp_path, 'synthetic_target'))
