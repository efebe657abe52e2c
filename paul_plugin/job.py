"""The stages of a run from a config: render or find the data, pre-train, measure the direct transfer, adapt, report."""

import functools
import json
import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torchreid
from torch import nn
from yacs.config import CfgNode

from . import checks, config, datasets, failures, host, processes, published, resume, settings, stopping
from .checkpoints import CheckpointFolder, save_atomically, write_atomically
from .data import build_datamanager, check_data, check_datasets, render_data, show_left_out
from .engine import ImagePAULEngine
from .errors import UserError, nearest, raise_together
from .pretraining import ImagePretrainEngine
from .resumable import resumable
from .resume import ResumePoint, go_on
from .schedule import schedule_parts, warm_up
from .weights import load_host_weights, load_weights

PRETRAINED = 'pretrained.pth.tar'  # in data.save_dir: what the pre-training stage leaves for the next one

DESCRIPTION = (
    'Trains and tests a person re-ID model; with loss.name paul, adapts PatchNet to new cameras without labels.'
)


def build_model(cfg: CfgNode, num_classes: int, pretrained: bool) -> nn.Module:
    """The model that the config names, on the GPU if `use_gpu`.

    Raises:
        UserError: if its ImageNet weights are wanted and cannot be had, or if it cannot take images of this size.
    """
    print(f'Building model: {cfg.model.name}')
    options = {}
    if cfg.model.name in host.BACKBONES:
        options = {
            'num_patches': cfg.paul.num_patches,
            'dim': cfg.paul.feature_dim,
            'patch_source': cfg.paul.patch_source,
        }
    with warnings.catch_warnings():
        warnings.simplefilter('error', host.PretrainedWeightsWarning)
        build = functools.partial(
            host.build_model,
            cfg.model.name,
            num_classes=num_classes,
            loss=cfg.loss.name,
            pretrained=pretrained,
            use_gpu=cfg.use_gpu,
            **options,
        )
        try:
            with processes.first_alone() as first:  # it downloads the weights, the others find them
                model = build() if first else None
            model = model or build()
        except host.PretrainedWeightsWarning as warning:
            raise UserError(
                f'{warning}; set model.pretrained False to accept that, or model.load_weights to a file, '
                f'or put the weights into {host.weights_cache(cfg.model.name)}'
            ) from None
    if cfg.model.name not in host.BACKBONES:
        check_image_size(cfg, model)
    if cfg.use_gpu and processes.world_size() > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model = model.to(memory_format=torch.channels_last)  # the faster layout of convolutions, on CPUs and GPUs
    return model.cuda() if cfg.use_gpu else model


@torch.no_grad()
def check_image_size(cfg: CfgNode, model: nn.Module) -> None:
    """Shows a model of torchreid's one image, on the CPU: each has its own smallest size, and none says so.

    Raises:
        UserError: if it fails.
    """
    try:
        model.eval()(torch.zeros(1, 3, cfg.data.height, cfg.data.width))
    except RuntimeError as error:
        if failures.is_out_of_memory(error):
            raise
        reason = ' '.join(str(error).split())[:200]
        raise UserError(
            f'{cfg.model.name} cannot take images of data.height {cfg.data.height}, data.width {cfg.data.width} '
            f'({reason}): compare with the size that torchreid names for it'
        ) from None
    model.train()


def check_layers(cfg: CfgNode, model: nn.Module) -> None:
    """Refuses layers that the model lacks; torchreid stops after much work at some and passes over others.

    Raises:
        UserError: naming each, with the nearest name.
    """
    layers = [name for name, _ in model.named_children()]
    wanted = {'open_layers': cfg.train.fixbase_epoch > 0, 'new_layers': cfg.train.staged_lr}
    raise_together(
        [
            f'train.{key}: {cfg.model.name} has no layer {name!r}{nearest(name, layers)}: one of {", ".join(layers)}'
            for key, used in wanted.items()
            if used
            for name in cfg.train[key]
            if name not in layers
        ]
    )


def build_engine(cfg: CfgNode, datamanager, model: nn.Module):
    """The engine that `cfg.loss.name` names, with its optimizer, scheduler and the settings of its checkpoints."""
    check_layers(cfg, model)
    engine = _build_engine(cfg, datamanager, model)
    engine.checkpoint_minutes = cfg.train.checkpoint_minutes
    engine.keep_checkpoints = cfg.train.keep_checkpoints
    engine.config = cfg.dump()
    engine.fast_rank = cfg.test.fast_rank
    return engine


def _build_engine(cfg: CfgNode, datamanager, model: nn.Module):
    """The engine that `cfg.loss.name` names, with its optimizer and scheduler.

    Raises:
        UserError: if the data do not fit the method's settings.
    """
    supervised = cfg.paul.supervised
    optimizer = torchreid.optim.build_optimizer(model, **config.optimizer_kwargs(cfg))
    if supervised.schedule.heads:
        scheduler = schedule_parts(optimizer, model, supervised.schedule, supervised.warmup_epochs)
    else:
        scheduler = torchreid.optim.build_lr_scheduler(optimizer, **config.lr_scheduler_kwargs(cfg))
        if supervised.warmup_epochs:
            scheduler = warm_up(optimizer, scheduler, supervised.warmup_epochs)
    common = {'optimizer': optimizer, 'scheduler': scheduler, 'use_gpu': cfg.use_gpu}
    if cfg.loss.name == 'paul':
        method = cfg.paul
        numbers = 'k scale margin r momentum weight_pedal weight_ipfl collapse_cosine pictures_freq'
        words = 'similarity ipfl bank_dtype'
        options = {name: method[name] for name in f'{numbers} {words}'.split()}
        options['shard_memory'] = method.memory.shard
        try:
            return ImagePAULEngine(
                datamanager, model, max_candidates=method.max_candidates or None, amp=cfg.train.amp, **options, **common
            )
        except ValueError as error:
            raise UserError(str(error)) from None
    common['label_smooth'] = cfg.loss.softmax.label_smooth
    if cfg.loss.name == 'triplet':
        common |= {name: cfg.loss.triplet[name] for name in ('margin', 'weight_t', 'weight_x')}
    if cfg.data.type == 'video':
        common['pooling_method'] = cfg.video.pooling_method
    if supervised.released:
        return ImagePretrainEngine(datamanager, model, mixup=supervised.mixup, amp=cfg.train.amp, **common)
    return resumable(host.supervised_engine(cfg.data.type, cfg.loss.name))(datamanager, model, **common)


def check_names(cfg: CfgNode) -> None:
    """Refuses a model or data set that torchreid does not have, or a data set that is not there.

    Raises:
        UserError: naming it, with the nearest name or the folder that is expected.
    """
    ours = list(host.BACKBONES)
    if cfg.loss.name == 'paul' and cfg.model.name not in ours:
        raise UserError(
            f'model.name {cfg.model.name!r} is no PatchNet, which loss.name paul needs'
            f'{nearest(cfg.model.name, ours)}: one of {", ".join(ours)}'
        )
    models = host.available_models()
    if cfg.model.name not in models:
        raise UserError(f'unknown model.name {cfg.model.name!r}{nearest(cfg.model.name, models)}')
    check_datasets(cfg, made=datasets.SYNTHETIC)


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

    It takes over the data's root, the image size, the model, the seed and the machine's settings, and after them
    `paul.pretrain.opts`.

    Raises:
        UserError: for what is wrong with it.
    """
    stage = config.get_default_config()
    settings.merge_file(stage, cfg.paul.pretrain.config)
    stage.use_gpu = cfg.use_gpu
    stage.model.update({name: cfg.model[name] for name in ('name', 'pretrained')})
    stage.data.update({name: cfg.data[name] for name in ('root', 'height', 'width', 'workers', 'bad_images')})
    stage.folder.update(cfg.folder)
    stage.test.fast_rank = cfg.test.fast_rank
    stage.data.save_dir = str(Path(cfg.data.save_dir, 'pretrain'))
    stage.train.update({name: cfg.train[name] for name in ('seed', 'checkpoint_minutes', 'keep_checkpoints')})
    if cfg.model.resume == resume.AUTO:
        stage.model.resume = resume.AUTO
    stage.paul.update({name: cfg.paul[name] for name in ('num_patches', 'feature_dim', 'patch_source', 'synthetic')})
    settings.merge_opts(stage, cfg.paul.pretrain.opts)
    try:
        checks.check_config(stage)
        check_names(stage)
    except UserError as error:
        where, given = f'pre-training stage {cfg.paul.pretrain.config}', cfg.model.load_weights
        way_out = f'or name its weights by model.load_weights{given and f" (there is no file {given})"}'
        raise UserError('\n'.join(f'{where}: {line}, {way_out}' for line in str(error).splitlines())) from None
    return stage


def measure(engine, cfg: CfgNode) -> dict[str, dict[str, float]]:
    """Tests the model on the targets: data set -> `{'mAP', 'rank1', 'rank5', 'rank10'}`, fractions.

    Re-ranking and pictures are for `test.evaluate` alone, as in torchreid's `run`.
    """
    names = ['dist_metric', 'normalize_feature', 'save_dir', 'use_metric_cuhk03', 'ranks']
    if cfg.test.evaluate:
        names += ['visrank', 'visrank_topk', 'rerank']
    arguments = config.engine_run_kwargs(cfg)
    engine.test(**{name: arguments[name] for name in names})
    return engine.results


def write_results(results: dict[str, dict], path: Path) -> None:
    """Writes `{stage: {'mAP': ...}}`, with a level of data sets between where there are several targets."""
    flat = {stage: next(iter(of.values())) if len(of) == 1 else of for stage, of in results.items()}
    if processes.is_first():
        write_atomically(json.dumps(flat, indent=2) + '\n', path)


def read_results(path: Path, targets: list[str]) -> dict[str, dict]:
    """What `write_results` wrote; nothing of a file that is not there or not whole."""
    try:
        flat = json.loads(path.read_text())
        return {stage: {targets[0]: of} if 'mAP' in of else of for stage, of in flat.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def show_results(results: dict[str, dict]) -> None:
    """Prints a table in per cent for each target."""
    for target in next(iter(results.values())):
        print(f'\nResults on {target}, in per cent\n{"":16}{"mAP":>8}{"Rank-1":>8}{"Rank-5":>8}{"Rank-10":>8}')
        for stage, of in results.items():
            print(f'{stage.replace("_", " "):16}' + ''.join(f'{100 * value:8.1f}' for value in of[target].values()))


def train_supervised(cfg: CfgNode, point: ResumePoint | None) -> nn.Module:
    """torchreid's own job: trains and tests any of its models, PatchNet among them, with labels; returns the model."""
    host.set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    load = cfg.model.load_weights and point is None
    pretrained = cfg.model.pretrained and not load and point is None
    model = build_model(cfg, datamanager.num_train_pids, pretrained)
    if load:
        (load_weights if cfg.model.name in host.BACKBONES else load_host_weights)(model, cfg.model.load_weights)
    engine = build_engine(cfg, datamanager, model)
    if point is not None:
        cfg.train.start_epoch = go_on(engine, point)
    engine.run(**config.engine_run_kwargs(cfg))
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
    host.set_random_seed(cfg.train.seed)
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
        engine.run(**config.engine_run_kwargs(cfg))
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


def run(cfg: CfgNode) -> None:
    """Runs the job of a config.

    Raises:
        UserError: for what the user can mend, before any long work starts.
    """
    check_names(cfg)
    resume.after_restart(cfg)
    point = resume.find(cfg)
    unsupervised = cfg.loss.name == 'paul'
    stage = stage_point = None
    if point is None:
        with processes.first_alone() as first:  # it downloads, the others find it in the cache
            weights = published.resolve(cfg.model.load_weights) if first else cfg.model.load_weights
        cfg.model.load_weights = weights if first else published.resolve(weights)
        stage = pretraining_stage(cfg) if unsupervised else None
        stage_point = resume.find(stage) if stage is not None else None
    elif not os.path.isfile(cfg.model.load_weights):
        beside = Path(cfg.data.save_dir, PRETRAINED)
        cfg.model.load_weights = str(beside) if beside.is_file() else ''
    kind = 'test' if cfg.test.evaluate else 'train'
    torch.backends.cudnn.benchmark = cfg.use_gpu
    log = Path(cfg.data.save_dir, f'{kind}.log{time.strftime("-%Y-%m-%d-%H-%M-%S")}')
    with host.logged_to(log) if processes.is_first() else processes.silence():
        print(f'Show configuration\n{cfg}\n')
        with processes.first_alone() as first:
            for part in filter(None, (cfg, stage) if first else ()):
                render_data(part)
                resume.set_aside(part)
        if unsupervised:
            adapt(cfg, point, stage, stage_point)
        else:
            train_supervised(cfg, point)


def main(argv: list[str] | None = None) -> None:
    """The command line: one line an error and exit status 2 for what the user can mend, 130 or 143 when stopped."""
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    try:
        with stopping.stop_signals():
            cfg = settings.load_config(argv, DESCRIPTION)
            checks.check_config(cfg)
            with processes.group(cfg.use_gpu):
                run(cfg)
    except Exception as error:
        failures.exit_with(error)
