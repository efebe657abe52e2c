"""Processes that do not have the same images or settings are refused before the first step."""

import shutil

from helpers.configs import loaded
from programs.distributed_runs import FORKS
from torch import distributed as dist

from paul_plugin.run import agreement
from paul_plugin.run.data import build_datamanager
from paul_plugin.runtime.errors import UserError

WORDS = '-s synthetic_target -t synthetic_target data.workers 0 data.height 48 data.width 48 train.batch_size 8'


def work(rank, folder, cases, answers):
    """One of two processes; puts what it says of each case, the roots and the further words of both, into the queue."""
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    said = []
    for roots, words in cases:
        try:
            cfg = loaded(*WORDS.split(), '--root', roots[rank], *words[rank])
            agreement.check_settings(cfg)
            agreement.check_images(build_datamanager(cfg))
            said.append('agreed')
        except UserError as error:
            said.append(str(error))
    answers.put(said)
    dist.destroy_process_group()


def test_both_processes_say_the_same(rendered, tmp_path):
    """Of a copy, of one with another name, of one that lacks a training image and a query, and of another setting."""
    copy, renamed, short = (
        shutil.copytree(rendered / 'synthetic_target', tmp_path / name / 'synthetic_target')
        for name in ('copy', 'renamed', 'short')
    )
    first = sorted((renamed / 'Market-1501-v15.09.15/bounding_box_train').iterdir())[0]
    first.rename(first.with_name(first.name.replace('s1_', 's2_')))
    for part in ('bounding_box_train', 'query'):
        sorted((short / 'Market-1501-v15.09.15' / part).iterdir())[0].unlink()
    roots = [(str(rendered), str(other.parent)) for other in (copy, renamed, short, rendered / 'synthetic_target')]
    cases = list(zip(roots, [((), ())] * 3 + [((), ('train.lr', '0.5'))]))

    answers = FORKS.Queue()
    both = [FORKS.Process(target=work, args=(rank, str(tmp_path), cases, answers)) for rank in (0, 1)]
    for process in both:
        process.start()
    said, same = (answers.get(timeout=60) for _ in both)
    for process in both:
        process.join(60)
    assert said == same
    assert said[0] == 'agreed'
    assert said[1].startswith('process 1 has train images = 48 of digest')
    assert said[2].startswith('process 1 has train images = 47 of digest')
    assert said[3] == (
        'process 1 has train.lr = 0.5, the first one has 0.0003: start all with the same command line and config file'
    )
