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


@pytest.mark.parametrize(('cores', 'said'), [(1, 1), (2, 0)])
def test_a_run_says_so_and_ends_alike(embedded_run, rendered, tmp_path, monkeypatch, cores, said):
    monkeypatch.setattr(arguments, 'cores', lambda: cores)
    folder = run_embedded_job(rendered, tmp_path, 'data.workers', '2')
    log = next(folder.glob('train.log*')).read_text()
    assert log.count('data.workers 2 is lowered to 1, the number of cores') == said
    for name in FILES:
        assert (folder / name).read_bytes() == (embedded_run / name).read_bytes()
    assert '  workers: 2\n' in (folder / 'config.yaml').read_text()  # another machine may have them
