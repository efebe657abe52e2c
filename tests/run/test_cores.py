"""No more workers than cores, which a line says; results do not depend on their number."""

import pytest
from helpers.jobs import run_embedded_job

from paul_plugin.config import arguments
from paul_plugin.config.keys import get_default_config

FILES = ('results.json', 'history.json', 'signs.json')


@pytest.mark.parametrize(('wanted', 'used'), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_no_more_workers_than_cores(monkeypatch, wanted, used):
    monkeypatch.setattr(arguments, 'cores', lambda: 2)
    cfg = get_default_config()
    cfg.data.workers = wanted
    assert arguments.imagedata_kwargs(cfg)['workers'] == arguments.videodata_kwargs(cfg)['workers'] == used


def test_a_run_says_so_and_ends_alike(embedded_once, rendered, tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, 'cores', lambda: 1)
    folder = run_embedded_job(rendered, tmp_path, 'data.workers', '2')
    told = [next(run.glob('train.log*')).read_text().count('lowered') for run in (folder, embedded_once)]
    assert told == [1, 0]
    assert 'data.workers 2 is lowered to 1, the number of cores' in next(folder.glob('train.log*')).read_text()
    for name in FILES:
        assert (folder / name).read_bytes() == (embedded_once / name).read_bytes()
    assert '  workers: 2\n' in (folder / 'config.yaml').read_text()  # another machine may have them
