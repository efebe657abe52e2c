"""One process or two, the same run: losses, bank, distances and checkpoints; and a process that is killed."""

import contextlib
import os
import signal
import socket

import pytest
import torch
from helpers.forks import Fork
from helpers.jobs import PROJECT
from helpers.models import few_layers
from programs.distributed_runs import CASES, FORKS, largest_difference, render_target, train
from programs.kill_and_resume import differences

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.commands import train as job
from paul_plugin.config.checks import check_config
from paul_plugin.config.keys import get_default_config
from paul_plugin.runtime.errors import UserError

LIMIT = 1e-9  # float64
SMALL = {'epochs': 2, 'batch': 8, 'height': 48, 'build': few_layers}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return render_target(tmp_path_factory.mktemp('distributed'), people=4)


@pytest.fixture(scope='module')
def alone(root):
    """What one process finds, by case; each is run once."""
    found = {}

    def run(case):
        if case not in found:
            found[case] = train(1, root / f'alone {case}', root=root, options=CASES[case], **SMALL)
        return found[case]

    return run


@pytest.mark.parametrize('case', ['replicated bank', 'centroids in shards', 'reciprocal in shards'])
def test_two_processes_are_as_one(root, alone, case):
    found = train(2, root / f'two {case}', root=root, options=CASES[case], **SMALL)
    expected = alone({'reciprocal in shards': 'reciprocal'}.get(case, case))
    assert len(found['losses']) == 6
    assert found['losses'][-1]['pedal'] > 0
    assert max(largest_difference(found, expected).values()) < LIMIT
    assert found['results'] == expected['results']


def test_the_rate_the_signs_and_the_kept_model_are_those_of_one_process(root):
    """Camera by camera, without surrogates; at 1e30 the second step is not finite, in one process or in both."""
    run = {**SMALL, 'root': root, 'epochs': 1, 'signs': True, 'ladder': (1e30, 0.0001, 0.00001)}
    folders = [root / 'looks on alone', root / 'looks on by two']
    one = train(1, folders[0], options=CASES['cameras'], **run)
    two = train(2, folders[1], options=CASES['cameras in shards'], **run)
    assert one['rate'] == two['rate'] == 0.0001
    assert max(largest_difference(two, one).values()) < LIMIT
    assert two['recall'] == pytest.approx(one['recall'], abs=LIMIT)
    assert [sign['name'] for sign in one['signs']] == ['start', 'filled', 'epoch 1']
    for ours, theirs in zip(two['signs'], one['signs'], strict=True):
        assert ours == pytest.approx(theirs, abs=LIMIT)
    kept = [read_checkpoint(folder / 'model/kept.pth.tar') for folder in folders]
    assert kept[0]['signs'][-1]['name'] == kept[1]['signs'][-1]['name']
    for name, tensor in kept[0]['state_dict'].items():
        torch.testing.assert_close(kept[1]['state_dict'][name], tensor, rtol=0, atol=LIMIT)


@pytest.mark.parametrize('norms', [False, True])
def test_the_test_is_split_without_a_change(root, norms):
    """Of the same weights, the distances are the same to the bit: rows and columns in the same order.

    The descriptors are centred: the means of cameras are shared out in the same way. With norms of cameras, batches are
    of one camera each.
    """
    run = {**SMALL, 'root': root, 'test_only': True, 'centre_cameras': True, 'camera_norms': norms}
    one, two = (train(world, root / f'test {world} {norms}', **run) for world in (1, 2))
    assert len(one['distances']) == 1
    assert one['distances'][0].equal(two['distances'][0])
    assert one['results'] == two['results']


def test_another_number_of_processes_goes_on(root, alone):
    """Two, one and two again, stopped in the middle of the first and of the second epoch, with the bank in shards."""
    folder, run = root / 'two, one, two', {**SMALL, 'root': root, 'options': CASES['bank in shards']}
    train(2, folder, stop_after=1, **run)
    assert (folder / 'model/model.pth.tar-0-1').exists()
    train(1, folder, resume=True, stop_after=4, **run)  # the step that it passes over among them
    assert (folder / 'model/model.pth.tar-1-1').exists()
    found = train(2, folder, resume=True, **run)
    assert max(largest_difference(found, alone('replicated bank')).values()) < LIMIT


def words(root, log):
    return [
        '--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '--root', str(root), 'data.save_dir', str(log),
        'data.workers', '0', 'use_gpu', 'False', 'paul.pretrain.config', '', 'paul.k', '3', 'train.seed', '5',
        'paul.synthetic.train_ids', '4', 'paul.synthetic.test_ids', '5', 'paul.synthetic.images_per_id', '6',
        'train.batch_size', '8', 'train.max_epoch', '2', 'train.print_freq', '1', 'train.checkpoint_minutes', '0',
        'data.height', '48', 'data.width', '48',
    ]  # fmt: skip


def run_as_torchrun_does(rank, port, argv):
    torch.set_num_threads(1)
    os.environ |= {'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': '2'}
    os.environ |= {'MASTER_ADDR': 'localhost', 'MASTER_PORT': str(port)}
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        job.main(argv)


# As torchrun does, which is this launcher and a command line; its processes are forks, which spares each the imports.
LAUNCH = """
import os, sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from paul_plugin.commands import train
def job(words):
    print('process', os.getpid(), flush=True)
    train.main(words)
os.dup2(1, 2)
config = LaunchConfig(
    min_nodes=1, max_nodes=1, nproc_per_node=2, max_restarts=3, run_id='test', rdzv_backend='c10d',
    rdzv_endpoint='localhost:0', start_method='fork',
)
elastic_launch(config, job)(sys.argv[1:])
"""


def test_torchrun_goes_on_after_a_process_was_killed(root, tmp_path):
    """Killed in the second epoch; torchrun starts both again, and the end is that of an undisturbed run."""
    log, undisturbed = tmp_path / 'killed', tmp_path / 'undisturbed'
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    others = [
        FORKS.Process(target=run_as_torchrun_does, args=(rank, port, words(root, undisturbed))) for rank in (0, 1)
    ]
    for other in others:
        other.start()
    for other in others:
        other.join()
        assert other.exitcode == 0

    process = Fork(LAUNCH, *words(root, log))
    lines, processes, killed = [], [], False
    for line in process.stdout:
        lines.append(line)
        if line.startswith('process '):
            processes.append(int(line.split()[1]))
        if not killed and line.startswith('epoch: [2/2][2/3]'):
            os.kill(processes[-1], signal.SIGKILL)
            killed = True
    text = ''.join(lines)
    assert process.wait() == 0, text
    assert len(processes) == 4
    assert 'has lost another process of this run: go on with model.resume auto' in text
    assert text.count('Going on from') == 1
    assert text.count('=> Final test') == 1  # one process prints
    ours, theirs = (torch.load(folder / 'model/model.pth.tar-2', weights_only=True) for folder in (log, undisturbed))
    assert ours.pop('config') != theirs.pop('config')  # it names the folder
    assert differences(ours, theirs) == []
    assert (log / 'results.json').read_text() == (undisturbed / 'results.json').read_text()


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '8')
    cfg = get_default_config()
    for batch_size in (42, 16):
        cfg.train.batch_size = batch_size
        with pytest.raises(UserError, match=f'train.batch_size = {batch_size}: is shared by 8 processes'):
            check_config(cfg)
    cfg.train.batch_size = 40
    check_config(cfg)
