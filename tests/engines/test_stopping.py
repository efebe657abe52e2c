"""Signals: a run saves and stops, in the engine and in the program, with its workers."""

import os
import signal
import time

import pytest
from helpers.crashes import RUN, final, resumed
from helpers.forks import Fork
from helpers.jobs import PROJECT
from programs.kill_and_resume import differences

from paul_plugin.runtime import stopping


def test_a_signal_stops_after_the_step_and_saves(make_fresh_engine, undisturbed, tmp_path, capfd):
    engine = make_fresh_engine()
    engine.checkpoint_minutes = 1000
    step = engine.training_step

    def interrupted_step(batch):
        if engine.done == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return step(batch)

    engine.training_step = interrupted_step
    with pytest.raises(stopping.Stopped) as stop, stopping.stop_signals():
        engine.run(save_dir=str(tmp_path), **RUN)
    assert stop.value.status == 143
    assert 'once more stops at once' in capfd.readouterr().err
    saved = ['model-best.pth.tar', 'model.pth.tar-1', 'model.pth.tar-1-2']  # the last for the signal
    assert sorted(os.listdir(tmp_path / 'model')) == saved
    assert differences(resumed(make_fresh_engine(), tmp_path), final(undisturbed)) == []


def test_the_program_stops_with_its_workers(rendered, tmp_path):
    """The signal reaches the whole process group, as Ctrl-C and many job schedulers send it."""
    process = Fork(
        'import os, sys; os.setsid(); from paul_plugin.commands import train; train.main(sys.argv[1:])',
        '--config-file', PROJECT / 'configs/paul_synthetic.yaml',
        '--root', rendered, 'data.save_dir', tmp_path, 'data.workers', 1, 'train.batch_size', 8, 'paul.k', 3,
        'paul.pretrain.config', '', 'train.max_epoch', 2, 'train.print_freq', 1, 'train.seed', 5,
        'paul.synthetic.train_ids', 8, 'paul.synthetic.test_ids', 6, 'paul.synthetic.images_per_id', 6,
        'use_gpu', 'False', 'model.resume', 'auto', 'data.height', 64, 'data.width', 48,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith('epoch: [1/2][2/6]'):
            os.killpg(process.pid, signal.SIGINT)
    error = process.stderr.read()
    assert process.wait(20) == 130
    assert 'Traceback' not in error
    assert 'go on with model.resume auto' in error
    assert len(os.listdir(tmp_path / 'model')) == 1
