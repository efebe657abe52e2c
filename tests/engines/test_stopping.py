"""Signals: a run saves and stops, in the engine and in the program, with its workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.crashes import RUN, final, resumed
from programs.kill_and_resume import differences

from paul_plugin.runtime import stopping

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_saves(make_fresh_engine, undisturbed, tmp_path, number, capfd):
    engine = make_fresh_engine()
    engine.checkpoint_minutes = 1000
    step = engine.training_step

    def interrupted_step(batch):
        if engine.done == (1, 1):
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        return step(batch)

    engine.training_step = interrupted_step
    with pytest.raises(stopping.Stopped) as stop, stopping.stop_signals():
        engine.run(save_dir=str(tmp_path), **RUN)
    assert stop.value.status == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert 'once more stops at once' in capfd.readouterr().err
    assert os.listdir(tmp_path / 'model') == ['model.pth.tar-1-2']
    assert differences(resumed(make_fresh_engine(), tmp_path), final(undisturbed)) == []


def test_a_second_signal_stops_at_once():
    program = (
        'import os, signal, time; from paul_plugin.runtime import stopping\n'
        'with stopping.stop_signals():\n'
        '    for _ in range(2): os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)\n'
        '    print("still here")'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 130
    assert 'stopped at once' in done.stderr
    assert 'still here' not in done.stdout


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_program_stops_with_its_workers(rendered, tmp_path, number):
    """The signal reaches the whole process group, as Ctrl-C and many job schedulers send it."""
    words = [
        sys.executable, PROJECT / 'tools/main.py', '--config-file', PROJECT / 'configs/paul_synthetic.yaml',
        '--root', rendered, 'data.save_dir', tmp_path, 'data.workers', '1', 'train.batch_size', '8', 'paul.k', '3',
        'paul.pretrain.config', '', 'train.max_epoch', '2', 'train.print_freq', '1', 'train.seed', '5',
        'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
        'use_gpu', 'False', 'model.resume', 'auto',
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if line.startswith('epoch: [1/2][2/6]'):
            os.killpg(process.pid, number)
    error = process.stderr.read()
    assert process.wait(20) == 128 + number
    assert 'Traceback' not in error
    assert 'go on with model.resume auto' in error
    assert len(os.listdir(tmp_path / 'model')) == 1
