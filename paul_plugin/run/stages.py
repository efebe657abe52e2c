"""The stages of a run from a config: render or find the data, pre-train, measure the direct transfer, adapt, report."""

import os
import time
from pathlib import Path

import torch
from torch import nn
from yacs.config import CfgNode

from ..checkpoints import published, resume
from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.resume import ResumePoint, go_on
from ..checkpoints.weights import load_host_weights, load_weights
from ..config import arguments, checks, keys, settings
from ..config.changes import refuse_changes
from ..data.synthetic.datasets import SYNTHETIC
from ..host.engine import set_random_seed
from ..host.log import logged_to
from ..host.models import available_models
from ..registry import BACKBONES
from ..runtime import launch, processes
from ..runtime.errors import UserError, nearest
from ..runtime.files import save_atomically
from .build import build_engine, build_model
from .data import build_datamanager, check_data, check_datasets, render_data, show_left_out
from .record import measure, read_results, show_results, write_results

PRETRAINED = 'pretrained.pth.tar'  # in data.save_dir: what the pre-training stage leaves for the next one


def check_names(cfg: CfgNode) -> None:
    """Refuses a model or data set that torchreid does not have, or a data set that is not there.

    Raises:
        UserError: naming it, with the nearest name or the folder that is expected.
    """
    ours = list(BACKBONES)
    if cfg.loss.name == 'paul' and cfg.model.name not in ours:
        raise UserError(
            f'model.name {cfg.model.name!r} is no PatchNet, which loss.name paul needs'
            f'{nearest(cfg.model.name, ours)}: one of {", ".join(ours)}'
        )
    models = available_models()
    if cfg.model.name not in models:
        raise UserError(f'unknown model.name {cfg.model.name!r}{nearest(cfg.model.name, models)}')
    check_datasets(cfg, made=SYNTHETIC)


def pretraining_stage(cfg: CfgNode) -> CfgNode | None:
    """The config of the pre-training stage, or None where the weights are there or none are asked for.

    Sets `cfg.model.load_weights` to what it makes.

    Raises:
        UserError: if weights are asked for, are not there or cannot be fetched, and no stage makes them.
    """
    if not cfg.model.load_weights and cfg.paul.pretrain.config:
        cfg.model.load_weights = str(Path(cfg.data.save_dir, PRETRAINED))
    if not cfg.model.load_weights or os.path.isfile(cfg.model.load_weights):
        return None
    if not cfg.paul.pretrain.config:
        raise UserError(
            f'no weight file at {cfg.model.load_weights} (model.load_weights), '
            'and paul.pretrain.config names no stage that makes it'
        )
    return stage_config(cfg)


def stage_config(cfg: CfgNode) -> CfgNode:
    """The config of the pre-training stage, the file `paul.pretrain.config`.

    It takes over the keys that the table of keys marks so, such as the data's root, the image size, the model, the
    seed and the machine's settings, and after them `paul.pretrain.opts`.

    Raises:
        UserError: for what is wrong with it.
    """
    stage = keys.get_default_config()
    settings.merge_file(stage, cfg.paul.pretrain.config)
    for key in keys.marked(keys.Mark.STAGE):
        keys.set_value(stage, key, keys.value_of(cfg, key))
    stage.data.save_dir = str(Path(cfg.data.save_dir, 'pretrain'))
    if cfg.model.resume == resume.AUTO:
        stage.model.resume = resume.AUTO
    settings.merge_opts(stage, cfg.paul.pretrain.opts)
    try:
        checks.check_config(stage)
        check_names(stage)
    except UserError as error:
        where, given = f'pre-training stage {cfg.paul.pretrain.config}', cfg.model.load_weights
        way_out = f'or name its weights by model.load_weights{given and f" (there is no file {given})"}'
        raise UserError('\n'.join(f'{where}: {line}, {way_out}' for line in str(error).splitlines())) from None
    return stage


def train_supervised(cfg: CfgNode, point: ResumePoint | None) -> nn.Module:
    """torchreid's own job: trains and tests any of its models, PatchNet among them, with labels; returns the model."""
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    load = cfg.model.load_weights and point is None
    pretrained = cfg.model.pretrained and not load and point is None
    model = build_model(cfg, datamanager.num_train_pids, pretrained)
    if load:
        (load_weights if cfg.model.name in BACKBONES else load_host_weights)(model, cfg.model.load_weights)
    engine = build_engine(cfg, datamanager, model)
    if point is not None:
        cfg.train.start_epoch = go_on(engine, point)
    engine.run(**arguments.engine_run_kwargs(cfg))
    show_left_out(left_out)
    return model


def load_pretrained(engine, cfg: CfgNode) -> None:
    """Loads the pre-trained weights, if there are any, into the engine's model."""
    if cfg.model.load_weights:
        loaded = load_weights(engine.model, cfg.model.load_weights)
        print(f'Loaded {len(loaded.loaded)} tensors from {cfg.model.load_weights}')
        for words, names in (('left in the file', loaded.left), ('not in the file', loaded.missing)):
            if names:
                print(f'* {words}: {", ".join(names)}')


def adapt(cfg: CfgNode, point: ResumePoint | None, stage: CfgNode | None, stage_point: ResumePoint | None) -> None:
    """The main job: pre-trains if `stage` is given, measures the direct transfer, adapts without labels, measures.

    Everything that can refuse the data or the settings is built before the pre-training starts.
    """
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    # One class: not even the number of identities reaches this stage.
    model = build_model(cfg, 1, cfg.model.pretrained and not cfg.model.load_weights and point is None)
    engine = build_engine(cfg, datamanager, model)
    if stage is not None:
        print(f'\n=== Pre-training with labels on {", ".join(stage.data.sources)} ===')
        pretrained = train_supervised(stage, stage_point)
        with processes.first_alone() as first:
            if first:
                weights = {'state_dict': pretrained.state_dict(), 'config': stage.dump()}
                save_atomically(weights, Path(cfg.model.load_weights))

    reranked = cfg.test.evaluate and cfg.test.rerank  # then no figure is like those without
    path = Path(cfg.data.save_dir, 'results_reranked.json' if reranked else 'results.json')
    tested = list(engine.test_loader)  # the targets with labels
    results = processes.from_first(read_results(path, tested) if point is not None and tested else {})
    if point is None and not tested and processes.is_first():
        path.unlink(missing_ok=True)  # of an earlier run, which had labels
    if 'direct_transfer' not in results and (cfg.model.load_weights or point is None):
        load_pretrained(engine, cfg)
        if tested:
            print(f'\n=== Direct transfer to {", ".join(tested)} ===')
            results = {'direct_transfer': measure(engine, cfg), **results}
            write_results(results, path)
    if point is not None:
        cfg.train.start_epoch = go_on(engine, point)
    finished = cfg.train.start_epoch >= cfg.train.max_epoch and ('adapted' in results or not tested)
    if cfg.test.evaluate and point is not None:
        print(f'\n=== Test of {point.path} ===')
        results['adapted'] = measure(engine, cfg)
    elif not cfg.test.evaluate and not finished:
        print(f'\n=== Adapting to {", ".join(cfg.data.sources)} without labels ===')
        engine.run(**arguments.engine_run_kwargs(cfg))
        if engine.results:
            results['adapted'] = engine.results
    show_left_out(left_out)
    if results:
        write_results(results, path)
        show_results(results)
        print(f'\nWritten to {path}')
    else:
        model = CheckpointFolder(Path(cfg.data.save_dir, 'model')).newest()
        print(f'\nNo results, as there is nothing to test on. The adapted model is {model}')


def _checkpoints(cfg: CfgNode) -> CheckpointFolder:
    return CheckpointFolder(Path(cfg.data.save_dir, 'model'))


def asked_for(cfg: CfgNode) -> str:
    """What to go on from: as torchrun starts the processes again, the run's own checkpoints, if it has come so far."""
    if launch.attempt() > 0 and (not cfg.model.resume or _checkpoints(cfg).newest()):
        return resume.AUTO
    return cfg.model.resume


def find_point(cfg: CfgNode) -> ResumePoint | None:
    """The checkpoint that `model.resume` asks for; None where the run starts from the beginning.

    Raises:
        UserError: if it cannot be read, or the configuration is not that of the run that saved it.
    """
    point = resume.find(cfg.model.resume, _checkpoints(cfg))
    if point is not None:
        refuse_changes(cfg, point.checkpoint.get('config'), point.path)
    return point


def set_aside(cfg: CfgNode) -> None:
    """Renames the checkpoints of an earlier run, which a run that starts anew must not be taken for."""
    if not cfg.model.resume and not cfg.test.evaluate and cfg.train.max_epoch > 0:
        _checkpoints(cfg).set_aside()


def run(cfg: CfgNode) -> None:
    """Runs the job of a config.

    Raises:
        UserError: for what the user can mend, before any long work starts.
    """
    check_names(cfg)
    cfg.model.resume = asked_for(cfg)
    point = find_point(cfg)
    unsupervised = cfg.loss.name == 'paul'
    stage = stage_point = None
    if point is None:
        with processes.first_alone() as first:  # it downloads, the others find it in the cache
            weights = published.resolve(cfg.model.load_weights) if first else cfg.model.load_weights
        cfg.model.load_weights = weights if first else published.resolve(weights)
        stage = pretraining_stage(cfg) if unsupervised else None
        stage_point = find_point(stage) if stage is not None else None
    elif not os.path.isfile(cfg.model.load_weights):
        beside = Path(cfg.data.save_dir, PRETRAINED)
        cfg.model.load_weights = str(beside) if beside.is_file() else ''
    kind = 'test' if cfg.test.evaluate else 'train'
    torch.backends.cudnn.benchmark = cfg.use_gpu
    log = Path(cfg.data.save_dir, f'{kind}.log{time.strftime("-%Y-%m-%d-%H-%M-%S")}')
    with logged_to(log) if processes.is_first() else processes.silence():
        print(f'Show configuration\n{cfg}\n')
        with processes.first_alone() as first:
            for part in filter(None, (cfg, stage) if first else ()):
                render_data(part)
                set_aside(part)
        if unsupervised:
            adapt(cfg, point, stage, stage_point)
        else:
            train_supervised(cfg, point)
