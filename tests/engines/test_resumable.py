"""Resuming to the bit, on real engines."""

import json
import random
import shutil
import sys

import numpy as np
import pytest
import torch
import torchreid
from helpers.crashes import RUN, Crash, final, resumed
from helpers.crops import TRAIN
from programs import kill_and_resume
from programs.kill_and_resume import differences

import paul_plugin
from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.data import loaders
from paul_plugin.host.engine import set_random_seed
from paul_plugin.runtime import randomness


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
    asked = []  # of torchreid's test

    def test(self, **options):
        asked.append(options)
        return torchreid_test(self, **options)

    torchreid_test = torchreid.engine.Engine.test
    monkeypatch.setattr(torchreid.engine.Engine, 'test', test)
    engine = make_fresh_engine()
    monkeypatch.setattr(engine, 'save_model', lambda *args: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        engine.run(save_dir=str(tmp_path), **RUN)
    assert differences(resumed(make_fresh_engine(), tmp_path), final(undisturbed)) == []
    assert [options['dist_metric'] for options in asked] == ['cosine'] * 3  # the second makes up for the first
    assert json.loads((tmp_path / 'history.json').read_text())[0].keys() >= {'mAP', 'rank1', 'loss', 'lr', 'cosine'}


def test_the_host_engines_resume_too(make_datamanager, tmp_path):
    """torchreid's softmax engine, its identity sampler and Adam, killed in the second epoch."""
    results = []
    for crash in (False, True):
        folder = tmp_path / str(crash)
        for life in range(1 + crash):
            set_random_seed(3)
            options = {'train_sampler': 'RandomIdentitySampler', 'batch_size_train': 8, 'num_instances': 2}
            datamanager = make_datamanager(
                height=48, transforms=['random_flip', 'random_crop', 'random_erase'], **options
            )
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


def test_images_that_were_replaced_are_told(make_fresh_engine, undisturbed, rendered, tmp_path, capsys):
    """One image in the place of another, under its name, as an edit of the data leaves it."""
    checkpoint = read_checkpoint(undisturbed / 'model/model.pth.tar-1-2')
    root = shutil.copytree(rendered, tmp_path / 'copy')  # which keeps the times
    for missing, changed, lines in ((None, False, 0), (None, True, 1), ('files', True, 0)):
        if changed:
            first, second = sorted((root / TRAIN).iterdir())[:2]
            shutil.copy(first, second)
        capsys.readouterr()
        saved = {name: value for name, value in checkpoint.items() if name != missing}
        assert make_fresh_engine(data={'root': root}).resume(saved) == 1
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith('warning: ')]
        assert len(said) == lines
        assert all('images have changed since epoch 1, step 2 was saved' in line for line in said)


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


def test_the_embedded_job_survives_kills(monkeypatch, capsys):
    """Real kills of real processes: the short form of the program that does it 40 times."""
    monkeypatch.setattr(sys, 'argv', ['kill_and_resume.py', '--kills', '2', '--seconds', '1'])
    kill_and_resume.main()
    out = capsys.readouterr().out
    assert '2 kills, ' in out
    assert '; 0 starts from a checkpoint' not in out
    assert 'each with the bytes of the undisturbed one' in out
