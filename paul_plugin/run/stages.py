"""A run from a config: finds what it starts with, renders or finds the data, and goes through its stages."""

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
from ..engines.base import ResumableEngine
from ..host.engine import set_random_seed
from ..host.log import logged_to
from ..host.models import available_models
from ..registry import BACKBONES
from ..runtime import launch, processes
from ..runtime.errors import UserError, nearest
from ..runtime.files import save_atomically
from .build import build_engine, build_model
from .data import build_datamanager, check_data, check_datasets, render_data, show_left_out
from .record import measure, read_results, results_path, show_results, write_results
from .start import Stage, Start, stages_of, start_at

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


def stage_config(cfg: CfgNode) -> CfgNode:
    """The config of the pre-training stage, the file `paul.pretrain.config`.

    It takes over the keys that the table of keys marks so, such as the data's root, the image size, the model, the
    seed and the machine's settings, and after them `paul.pretrain.opts`.

    Raises:
        UserError: for what is wrong with it.
    """
    cfg = cfg.clone()  # the stage gets whole groups of it, which its own opts may change
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


def asked_for(cfg: CfgNode) -> str:
    """What to go on from: as torchrun starts the processes again, the run's own checkpoints, if it has come so far."""
    if launch.attempt() > 0 and (not cfg.model.resume or _checkpoints(cfg).newest()):
        return resume.AUTO
    return cfg.model.resume


def weights_to_start_from(cfg: CfgNode) -> str:
    """The file of `model.load_weights`, fetched if it is published, or the one that the pre-training stage makes."""
    with processes.first_alone() as first:  # it downloads, the others find it in the cache
        weights = published.resolve(cfg.model.load_weights) if first else cfg.model.load_weights
    weights = weights if first else published.resolve(weights)
    made = str(Path(cfg.data.save_dir, PRETRAINED)) if cfg.loss.name == 'paul' and cfg.paul.pretrain.config else ''
    return weights or made


def weights_it_started_from(cfg: CfgNode) -> str:
    """The file that a run which goes on has once started from, if it is still there; '' if not."""
    beside = str(Path(cfg.data.save_dir, PRETRAINED))
    return next(filter(os.path.isfile, (cfg.model.load_weights, beside)), '')


def find_start(cfg: CfgNode) -> Start:
    """What the run of a config starts with; the config itself stays as the user gave it.

    Raises:
        UserError: if a checkpoint cannot be read or is of a run with other settings, or if weights are asked for, are
            not there or cannot be fetched, and no stage makes them.
    """
    asked = asked_for(cfg)
    point = find_point(cfg, asked)
    weights = weights_to_start_from(cfg) if point is None else weights_it_started_from(cfg)
    cfg = cfg.clone()
    cfg.model.resume, cfg.model.load_weights = asked, weights
    pretraining = None
    if point is None and cfg.loss.name == 'paul' and weights and not os.path.isfile(weights):
        if not cfg.paul.pretrain.config:
            raise UserError(
                f'no weight file at {weights} (model.load_weights), '
                'and paul.pretrain.config names no stage that makes it'
            )
        stage = stage_config(cfg)
        pretraining = start_at(stage, find_point(stage, stage.model.resume))
    return start_at(cfg, point, pretraining)


def find_point(cfg: CfgNode, asked: str) -> ResumePoint | None:
    """The checkpoint that is asked for, as `model.resume` does; None where the run starts from the beginning.

    Raises:
        UserError: if it cannot be read, or the configuration is not that of the run that saved it.
    """
    point = resume.find(asked, _checkpoints(cfg))
    if point is not None:
        refuse_changes(cfg, point.checkpoint.get('config'), point.path)
    return point


def _checkpoints(cfg: CfgNode) -> CheckpointFolder:
    return CheckpointFolder(Path(cfg.data.save_dir, 'model'))


def _title(text: str) -> None:
    print(f'\n=== {text} ===')


def train_supervised(start: Start) -> nn.Module:
    """torchreid's own training: trains and tests any of its models, PatchNet among them, with labels.

    Returns:
        The model.
    """
    cfg, point = start.cfg, start.point
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    load = start.weights and point is None
    pretrained = cfg.model.pretrained and not load and point is None
    model = build_model(cfg, datamanager.num_train_pids, pretrained)
    if load:
        (load_weights if cfg.model.name in BACKBONES else load_host_weights)(model, start.weights)
    engine = build_engine(cfg, datamanager, model)
    if point is not None:
        go_on(engine, point)
    engine.run(**arguments.engine_run_kwargs(cfg) | {'start_epoch': start.epochs})
    show_left_out(left_out)
    return model


def pretrain(start: Start, path: Path) -> None:
    """The pre-training stage: trains with labels, and saves the weights with the config that they come from."""
    _title(f'Pre-training with labels on {", ".join(start.cfg.data.sources)}')
    model = train_supervised(start)
    cfg = start.cfg.clone()
    cfg.train.start_epoch = start.epochs
    with processes.first_alone() as first:
        if first:
            save_atomically({'state_dict': model.state_dict(), 'config': cfg.dump()}, path)


def load_pretrained(engine: ResumableEngine, path: str) -> None:
    """Loads the pre-trained weights into the engine's model."""
    loaded = load_weights(engine.model, path)
    print(f'Loaded {len(loaded.loaded)} tensors from {path}')
    for words, names in (('left in the file', loaded.left), ('not in the file', loaded.missing)):
        if names:
            print(f'* {words}: {", ".join(names)}')


def adapt(start: Start) -> None:
    """The unsupervised run, stage by stage.

    Everything that can refuse the data or the settings is built before the first stage begins.
    """
    cfg, point = start.cfg, start.point
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    # One class: not even the number of identities reaches this stage.
    model = build_model(cfg, 1, cfg.model.pretrained and not start.weights and point is None)
    engine = build_engine(cfg, datamanager, model)
    tested = list(engine.test_loader)  # the targets with labels
    path = results_path(cfg)
    results = processes.from_first(read_results(path, tested) if point is not None and tested else {})
    for stage in stages_of(start, bool(tested), results):
        match stage:
            case Stage.PRETRAIN:
                pretrain(start.pretraining, Path(start.weights))
            case Stage.FORGET:
                if processes.is_first():
                    path.unlink(missing_ok=True)
            case Stage.LOAD:
                load_pretrained(engine, start.weights)
            case Stage.DIRECT_TRANSFER:
                _title(f'Direct transfer to {", ".join(tested)}')
                results = {'direct_transfer': measure(engine, cfg), **results}
                write_results(results, path)
            case Stage.GO_ON:
                go_on(engine, point)
            case Stage.ADAPT:
                _title(f'Adapting to {", ".join(cfg.data.sources)} without labels')
                engine.run(**arguments.engine_run_kwargs(cfg) | {'start_epoch': start.epochs})
                if engine.results:
                    results['adapted'] = engine.results
            case Stage.TEST:
                _title(f'Test of {point.path}')
                results['adapted'] = measure(engine, cfg)
    show_left_out(left_out)
    report(cfg, results, path)


def report(cfg: CfgNode, results: dict[str, dict], path: Path) -> None:
    """Writes and prints the results, or says where the model is that nothing could be tested with."""
    if results:
        write_results(results, path)
        show_results(results)
        print(f'\nWritten to {path}')
    else:
        print(f'\nNo results, as there is nothing to test on. The adapted model is {_checkpoints(cfg).newest()}')


def set_aside(cfg: CfgNode) -> None:
    """Renames the checkpoints of an earlier run, which a run that starts anew must not be taken for."""
    if not cfg.model.resume and not cfg.test.evaluate and cfg.train.max_epoch > 0:
        _checkpoints(cfg).set_aside()


def run(cfg: CfgNode) -> None:
    """Runs what a config says, all its stages.

    Raises:
        UserError: for what the user can mend, before any long work starts.
    """
    check_names(cfg)
    start = find_start(cfg)
    kind = 'test' if cfg.test.evaluate else 'train'
    torch.backends.cudnn.benchmark = cfg.use_gpu
    log = Path(cfg.data.save_dir, f'{kind}.log{time.strftime("-%Y-%m-%d-%H-%M-%S")}')
    with logged_to(log) if processes.is_first() else processes.silence():
        print(f'Show configuration\n{start.cfg}\n')
        with processes.first_alone() as first:
            for part in filter(None, (start, start.pretraining) if first else ()):
                render_data(part.cfg)
                set_aside(part.cfg)
        if cfg.loss.name == 'paul':
            adapt(start)
        else:
            train_supervised(start)
