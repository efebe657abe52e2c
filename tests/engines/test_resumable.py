"""Resuming to the bit, stopping, and numbers that are not finite, on real engines; the checkpoints' folder."""

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchreid
from programs.kill_and_resume import differences

import paul_plugin
from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.weights import read_checkpoint
from paul_plugin.config.changes import FREE, changed_keys
from paul_plugin.config.keys import all_keys, get_default_config
from paul_plugin.data import loaders
from paul_plugin.host.engine import set_random_seed
from paul_plugin.method.memory import mean_cosine
from paul_plugin.runtime import randomness, stopping
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import save_atomically

PROJECT = Path(__file__).parents[2]


class Crash(Exception):
    """Stands for a kill within this process."""


@pytest.fixture
def make_fresh_engine(make_engine, make_datamanager):
    """Makes an engine that saves after every step, each time as a new process would; it can crash after so many."""

    def make(crash_after=math.inf, data=(), **options):
        set_random_seed(3)
        engine = make_engine(make_datamanager(**dict(data)), **options)
        engine.checkpoint_minutes = 0
        engine.keep_checkpoints = 100
        step = engine.training_step
        steps = []

        def crashing_step(batch):
            if len(steps) == crash_after:
                raise Crash
            steps.append(batch['impath'])
            return step(batch)

        engine.training_step = crashing_step
        return engine

    return make


RUN = {'max_epoch': 3, 'print_freq': 1, 'dist_metric': 'cosine', 'eval_freq': 2}


def resumed(engine, folder, **run):
    """Goes on from the newest checkpoint of the folder; returns the final checkpoint's content."""
    path, checkpoint = CheckpointFolder(folder / 'model').read_newest()
    engine.run(save_dir=str(folder), start_epoch=engine.resume(checkpoint), **{**RUN, **run})
    return final(folder)


def final(folder):
    return read_checkpoint(folder / 'model/model.pth.tar-3')


@pytest.fixture(scope='module')
def folder_of_undisturbed(tmp_path_factory):
    return tmp_path_factory.mktemp('undisturbed')


@pytest.fixture
def undisturbed(make_fresh_engine, folder_of_undisturbed):
    """The folder of a run that nothing disturbed; made once."""
    if not (folder_of_undisturbed / 'history.json').exists():
        make_fresh_engine().run(save_dir=str(folder_of_undisturbed), **RUN)
    return folder_of_undisturbed


def test_killed_anywhere_it_ends_with_the_same_bytes(make_fresh_engine, undisturbed, tmp_path, capsys):
    """4 steps an epoch: killed within the first epoch, at its end, within the second; each time with other workers."""
    for crash_after, workers in ((2, 2), (4, 0), (7, 1)):
        folder = tmp_path / f'killed-{crash_after}'
        with pytest.raises(Crash):
            make_fresh_engine(crash_after).run(save_dir=str(folder), **RUN)
        set_random_seed(99)  # another process would be somewhere else
        capsys.readouterr()
        found = differences(final_of(make_fresh_engine, folder, workers), final(undisturbed))
        assert found == []
        assert (folder / 'history.json').read_bytes() == (undisturbed / 'history.json').read_bytes()
        first_line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('epoch: ['))
        assert '[1/4]' in first_line  # the log of the epoch is whole, its averages are those of the undisturbed run


def final_of(make_fresh_engine, folder, workers):
    return resumed(make_fresh_engine(data={'workers': workers}), folder)


def test_killed_in_a_test_the_test_is_made_up_for(make_fresh_engine, undisturbed, tmp_path, monkeypatch):
    engine = make_fresh_engine()
    monkeypatch.setattr(engine, 'save_model', lambda *args: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        engine.run(save_dir=str(tmp_path), **RUN)
    assert differences(resumed(make_fresh_engine(), tmp_path), final(undisturbed)) == []
    assert json.loads((tmp_path / 'history.json').read_text())[1].keys() >= {'mAP', 'rank1', 'loss', 'lr', 'cosine'}


def test_the_host_engines_resume_too(make_datamanager, tmp_path):
    """torchreid's softmax engine, its identity sampler and Adam, killed in the second epoch."""
    results = []
    for crash in (False, True):
        folder = tmp_path / str(crash)
        for life in range(1 + crash):
            set_random_seed(3)
            options = {'train_sampler': 'RandomIdentitySampler', 'batch_size_train': 8, 'num_instances': 2}
            datamanager = make_datamanager(transforms=['random_flip', 'random_crop', 'random_erase'], **options)
            model = torchreid.models.build_model(
                'osnet_x0_25', num_classes=datamanager.num_train_pids, loss='softmax', pretrained=False
            )
            optimizer = torchreid.optim.build_optimizer(model, optim='adam', lr=0.001)
            engine = paul_plugin.resumable(torchreid.engine.ImageSoftmaxEngine)(
                datamanager, model, optimizer, scheduler=torchreid.optim.build_lr_scheduler(optimizer), use_gpu=False
            )
            engine.checkpoint_minutes = 0
            start = engine.resume(CheckpointFolder(folder / 'model').read_newest()[1]) if life else 0
            if crash and not life:
                step, calls = engine.training_step, iter([True] * 6)
                engine.training_step = lambda batch, step=step, calls=calls: next(calls) and step(batch)
                with pytest.raises(StopIteration):
                    engine.run(save_dir=str(folder), max_epoch=2)
                continue
            engine.run(save_dir=str(folder), max_epoch=2, start_epoch=start)
        results.append(read_checkpoint(folder / 'model/model.pth.tar-2'))
    assert differences(*results) == []


def test_torchreids_own_readers_read_it(make_fresh_engine, undisturbed):
    """Its resume function and its loader, on a checkpoint from the middle of an epoch."""
    path = undisturbed / 'model/model.pth.tar-1-2'
    engine = make_fresh_engine()
    epoch = torchreid.utils.resume_from_checkpoint(str(path), engine.model, engine.optimizer, engine.scheduler)
    assert epoch == 1
    saved = read_checkpoint(path)['state_dict']
    assert all(value.equal(saved[name]) for name, value in engine.model.state_dict().items())
    torchreid.utils.load_pretrained_weights(make_fresh_engine().model, str(path))


def test_a_checkpoint_of_something_else_is_refused(make_fresh_engine, undisturbed, make_datamanager):
    checkpoint = final(undisturbed)
    datamanager = make_datamanager()
    datamanager.train_loader.dataset.data.pop()
    with pytest.raises(ValueError, match='other training images'):
        make_fresh_engine(data={'sources': 'synthetic_source'}).resume(checkpoint)
    with pytest.raises(RuntimeError, match='size mismatch'):
        make_fresh_engine(model_options={'dim': 8}).resume(checkpoint)
    with pytest.raises(ValueError, match='model.load_weights'):
        make_fresh_engine().resume({name: checkpoint[name] for name in ('state_dict', 'epoch', 'optimizer')})


# ---- order and augmentation ----------------------------------------------------------------------------------------


def test_order_and_augmentation_depend_on_seed_and_epoch_alone(make_datamanager):
    def epoch(workers, seed, number, first_batch=0):
        random.random(), np.random.rand(), torch.rand(1)  # whatever was drawn before
        loader = loaders.seeded_loader(make_datamanager(workers=workers).train_loader, seed)
        loader.sampler.set_epoch(number, first_batch)
        return [(batch['impath'], batch['img']) for batch in loader]

    expected = epoch(0, 1, 4)
    assert differences(epoch(2, 1, 4), expected) == []
    assert differences(epoch(1, 1, 4, first_batch=3), expected[3:]) == []
    assert epoch(0, 1, 5)[0][0] != expected[0][0]
    assert epoch(0, 2, 4)[0][0] != expected[0][0]
    # The same image in two epochs is not augmented in the same way, nor are two images.
    images = {path: image for paths, (real, _) in epoch(0, 1, 5) for path, image in zip(paths, real, strict=True)}
    again = {path: image for paths, (_, other) in expected for path, image in zip(paths, other, strict=True)}
    assert not any(images[path].equal(again[path]) for path in images.keys() & again.keys())


def test_drawing_an_image_leaves_the_generators_alone(make_datamanager):
    loader = loaders.seeded_loader(make_datamanager().train_loader, 1)
    before = randomness.get_states()
    list(loader)
    assert differences(randomness.get_states(), before) == []
    with randomness.seeded(1):
        torch.rand(3)
    randomness.seed_all(5)
    assert differences(randomness.get_states(), before) != []
    randomness.set_states(before)
    assert differences(randomness.get_states(), before) == []


# ---- files ---------------------------------------------------------------------------------------------------------


def test_folder_keeps_the_newest_and_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path / 'model', keep=2)
    for epochs, steps, best in ((1, 0, False), (2, 0, True), (2, 7, False), (2, 12, False), (10, 0, False)):
        folder.save({'epoch': epochs, 'steps': steps}, epochs, steps, best)
    assert [path.name for path in folder.files()] == ['model.pth.tar-10', 'model.pth.tar-2-12']
    assert sorted(os.listdir(folder.path)) == ['model-best.pth.tar', 'model.pth.tar-10', 'model.pth.tar-2-12']
    assert read_checkpoint(folder.path / 'model-best.pth.tar') == {'epoch': 2, 'steps': 0}

    (folder.path / 'model.pth.tar-10').write_bytes(b'PK half a file')
    assert folder.read_newest() == (folder.path / 'model.pth.tar-2-12', {'epoch': 2, 'steps': 12})
    (folder.path / '.model.pth.tar-11.77').write_bytes(b'half a file')
    folder.remove_partial()
    assert len(os.listdir(folder.path)) == 3
    assert folder.set_aside() == tmp_path / 'model.1'
    assert folder.newest() is None
    assert folder.set_aside() is None
    with pytest.raises(ValueError, match='keep must be at least 1, got 0'):
        CheckpointFolder(tmp_path, keep=0)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    """A limit on the size of files stands for a full disk: the system refuses the write in the middle of the file."""
    path = tmp_path / 'model.pth.tar-1'
    save_atomically({'epoch': 1}, path)
    program = (
        'import resource, sys, torch; from pathlib import Path; from paul_plugin.runtime.files import save_atomically;'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));'
        'save_atomically({"weights": torch.zeros(1_000_000)}, Path(sys.argv[1]))'
    )
    done = subprocess.run([sys.executable, '-c', program, path], capture_output=True, text=True)
    assert re.search(f'UserError: cannot write {path}: File too large', done.stderr)
    assert read_checkpoint(path) == {'epoch': 1}
    assert os.listdir(tmp_path) == [path.name]


# ---- stopping ------------------------------------------------------------------------------------------------------


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


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('where', ['loss', 'gradient'])
def test_what_is_not_finite_stops_before_the_optimizer_steps(make_fresh_engine, tmp_path, where):
    engine = make_fresh_engine()
    weights = []
    pedal, calls = engine.pedal.forward, []

    def spoiled(*args):
        loss = pedal(*args)
        calls.append(args)
        if len(calls) < 3:
            return loss
        weights.extend(value.clone() for value in engine.model.parameters())
        if where == 'loss':
            return loss * math.nan
        loss.register_hook(lambda grad: grad * math.inf)
        return loss * 1

    engine.pedal.forward = spoiled
    with pytest.raises(UserError) as error:
        engine.run(save_dir=str(tmp_path), **RUN)
    first, second = str(error.value).splitlines()
    assert first.startswith('epoch 1, step 3: not finite: loss ')
    assert 'model.pth.tar-0-2' in first
    assert len(re.findall(r'\.jpg', second)) == 10
    assert all(value.equal(before) for value, before in zip(engine.model.parameters(), weights, strict=True))
    read_checkpoint(tmp_path / 'model/model.pth.tar-0-2')


def test_float16_skips_are_counted(make_engine):
    """On a CPU the scaler works as on a GPU: an overflow skips the step and halves the scale."""
    engine = make_engine(amp='fp16')
    engine.epoch, engine.max_epoch = 0, 1
    engine.precision.scaler._init_scale = 2.0**120  # beyond float32 with these losses' gradients
    engine.train()
    assert engine.precision.skipped > 0
    assert all(value.isfinite().all() for value in engine.model.state_dict().values())
    other = make_engine(amp='fp16')
    other.precision.load_state_dict(engine.precision.state_dict())
    assert other.precision.skipped == engine.precision.skipped


def test_mean_cosine_is_that_of_all_pairs():
    bank = torch.randn(3, 20, 8) + 0.5
    filled = torch.rand(20) < 0.7
    vectors = torch.nn.functional.normalize(bank.transpose(0, 1)[filled].flatten(1), dim=1)
    pairs = [float(a @ b) for i, a in enumerate(vectors) for j, b in enumerate(vectors) if i != j]
    assert mean_cosine(bank, filled) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    assert mean_cosine(torch.ones(6, 50, 4)) == pytest.approx(1)
    assert mean_cosine(torch.zeros(6, 50, 4)) == 0
    assert mean_cosine(bank[:, :1]) == 0


def test_collapse_is_reported(make_engine, capsys):
    engine = make_engine()
    engine.epoch, engine.max_epoch = 0, 1
    engine.train()
    assert 'collapse' not in capsys.readouterr().out or engine.history[-1]['cosine'] > engine.collapse_cosine
    engine.memory.bank.copy_(torch.ones_like(engine.memory.bank))
    engine.end_of_epoch()
    out = capsys.readouterr().out
    assert 'warning: collapse' in out
    assert 'paul.collapse_cosine' in out


# ---- configuration -------------------------------------------------------------------------------------------------


def test_changed_keys():
    cfg = get_default_config()
    text = cfg.dump()
    assert changed_keys(cfg, text) == []
    cfg.data.workers, cfg.train.max_epoch, cfg.data.save_dir = 7, 90, 'elsewhere'
    assert changed_keys(cfg, text) == []
    cfg.train.lr = 0.01
    cfg.train.lr_scheduler = 'cosine'  # follows max_epoch, which is then refused too
    assert changed_keys(cfg, text) == [
        'train.lr from 0.0003 to 0.01',
        'train.max_epoch from 60 to 90',
        "train.lr_scheduler from 'single_step' to 'cosine'",
    ]
    assert changed_keys(get_default_config(), '{}') == []


def test_every_free_key_is_a_key():
    assert set(all_keys(get_default_config())) >= FREE


def test_the_embedded_job_survives_kills():
    """Real kills of real processes: the short form of the program that does it 40 times."""
    words = [sys.executable, PROJECT / 'tests/programs/kill_and_resume.py', '--kills', '2', '--seconds', '4']
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '2 kills, ' in done.stdout
    assert 'each with the bytes of the undisturbed one' in done.stdout
