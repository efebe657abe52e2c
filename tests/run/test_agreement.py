"""Processes that do not have the same images or settings are refused before the first step."""

import shutil

import pytest
from helpers.configs import loaded
from programs.distributed_runs import FORKS
from torch import distributed as dist

from paul_plugin.run import agreement
from paul_plugin.run.data import build_datamanager
from paul_plugin.runtime.errors import UserError

WORDS = '-s synthetic_target -t synthetic_target data.workers 0 data.height 48 data.width 48 train.batch_size 8'


def work(rank, folder, roots, words, answers):
    """One of two processes; puts what it says into the queue."""
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    try:
        cfg = loaded(*WORDS.split(), '--root', roots[rank], *words[rank])
        agreement.check_settings(cfg)
        agreement.check_images(build_datamanager(cfg))
        answers.put('agreed')
    except UserError as error:
        answers.put(str(error))
    finally:
        dist.destroy_process_group()


def say(folder, roots, words=((), ())):
    answers = FORKS.Queue()
    both = [FORKS.Process(target=work, args=(rank, str(folder), roots, words, answers)) for rank in (0, 1)]
    for process in both:
        process.start()
    said = {answers.get(timeout=60) for _ in both}
    for process in both:
        process.join(60)
    (answer,) = said  # both say the same
    return answer


@pytest.fixture
def other_root(rendered, tmp_path):
    return shutil.copytree(rendered / 'synthetic_target', tmp_path / 'other/synthetic_target').parent


def test_alike(rendered, other_root, tmp_path):
    assert say(tmp_path, [str(rendered), str(other_root)]) == 'agreed'


def test_another_name_and_a_missing_file(rendered, other_root, tmp_path):
    train = other_root / 'synthetic_target/Market-1501-v15.09.15/bounding_box_train'
    first = sorted(train.iterdir())[0]
    first.rename(first.with_name(first.name.replace('s1_', 's2_')))
    found = say(tmp_path, [str(rendered), str(other_root)])
    assert found.startswith('process 1 has train images = 48 of digest')
    (tmp_path / 'meet').unlink(missing_ok=True)
    query = other_root / 'synthetic_target/Market-1501-v15.09.15/query'
    sorted(train.iterdir())[0].unlink()
    sorted(query.iterdir())[0].unlink()
    assert 'process 1 has train images = 47 of digest' in say(tmp_path, [str(rendered), str(other_root)])


def test_another_setting(rendered, tmp_path):
    words = ((), ('train.lr', '0.5'))
    found = say(tmp_path, [str(rendered)] * 2, words)
    assert found == (
        'process 1 has train.lr = 0.5, the first one has 0.0003: start all with the same command line and config file'
    )
