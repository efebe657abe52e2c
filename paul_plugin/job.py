"""The stages of a run from a config: render or find the data, pre-train, measure the direct transfer, adapt, report."""

import json
import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torchreid
from torch import nn
from tqdm import tqdm
from yacs.config import CfgNode

from . import checks, config, datasets, host, published, settings, synthetic
from .engine import ImagePAULEngine
from .errors import UserError, nearest
from .pretraining import ImagePretrainEngine
from .schedule import schedule_parts, warm_up
from .surrogate import SurrogatePositive
from .weights import load_host_weights, load_weights, read_checkpoint

PRETRAINED = 'pretrained.pth.tar'  # in data.save_dir: what the pre-training stage leaves for the next one

DESCRIPTION = (
    'Trains and tests a person re-ID model; with loss.name paul, adapts PatchNet to new cameras without labels.'
)


def build_datamanager(cfg: CfgNode):
    """torchreid's data manager; surrogates are drawn by `cfg.paul.surrogate`."""
    options = cfg.paul.surrogate
    host.register_transform(lambda: SurrogatePositive(**options))
    if cfg.data.type == 'video':
        return torchreid.data.VideoDataManager(**config.videodata_kwargs(cfg))
    return torchreid.data.ImageDataManager(**config.imagedata_kwargs(cfg))


def build_model(cfg: CfgNode, num_classes: int, pretrained: bool) -> nn.Module:
    """The model that the config names, on the GPU if `use_gpu`.

    Raises:
        UserError: if its ImageNet weights are wanted and cannot be had.
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
        try:
            model = torchreid.models.build_model(
                cfg.model.name,
                num_classes=num_classes,
                loss=cfg.loss.name,
                pretrained=pretrained,
                use_gpu=cfg.use_gpu,
                **options,
            )
        except host.PretrainedWeightsWarning as warning:
            raise UserError(
                f'{warning}; set model.pretrained False to accept that, or model.load_weights to a file, '
                f'or put the weights into {host.weights_cache(cfg.model.name)}'
            ) from None
    model = model.to(memory_format=torch.channels_last)  # the faster layout of convolutions, on CPUs and GPUs
    return model.cuda() if cfg.use_gpu else model


def build_engine(cfg: CfgNode, datamanager, model: nn.Module):
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
        names = ('k', 'scale', 'margin', 'r', 'momentum', 'weight_pedal', 'weight_ipfl', 'ipfl', 'bank_dtype')
        options = {name: method[name] for name in names}
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
    return host.supervised_engine(cfg.data.type, cfg.loss.name)(datamanager, model, **common)


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
    for name in [*cfg.data.sources, *cfg.data.targets]:
        if name not in datasets.SYNTHETIC:
            host.check_dataset(name, cfg.data.root, cfg.data.type)


def pretraining_stage(cfg: CfgNode) -> CfgNode | None:
    """The config of the pre-training stage, or None where the weights are there or none are asked for.

    The stage is the file `paul.pretrain.config`. It takes over the data's root, the image size, the model, the seed
    and the machine's settings, and after them `paul.pretrain.opts`. Sets `cfg.model.load_weights` to what it makes.

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
    stage = config.get_default_config()
    settings.merge_file(stage, cfg.paul.pretrain.config)
    stage.use_gpu = cfg.use_gpu
    stage.model.update({name: cfg.model[name] for name in ('name', 'pretrained')})
    stage.data.update({name: cfg.data[name] for name in ('root', 'height', 'width', 'workers')})
    stage.data.save_dir = str(Path(cfg.data.save_dir, 'pretrain'))
    stage.train.seed = cfg.train.seed
    stage.paul.update({name: cfg.paul[name] for name in ('num_patches', 'feature_dim', 'patch_source', 'synthetic')})
    settings.merge_opts(stage, cfg.paul.pretrain.opts)
    try:
        checks.check_config(stage)
        check_names(stage)
    except UserError as error:
        lines = (f'pre-training stage {cfg.paul.pretrain.config}: {line}' for line in str(error).splitlines())
        raise UserError('\n'.join(lines)) from None
    return stage


def render_data(cfg: CfgNode) -> None:
    """Renders the synthetic data sets that the config names, where they are not there yet.

    Raises:
        UserError: if the folder holds something else.
    """
    options = cfg.paul.synthetic
    seed = cfg.train.seed if options.seed < 0 else options.seed
    counts = (options.train_ids, options.test_ids, options.images_per_id)
    for name in sorted({*cfg.data.sources, *cfg.data.targets} & set(datasets.SYNTHETIC)):
        with tqdm(desc=f'Rendering {name}', unit=' images', mininterval=1) as bar:

            def show(done: int, total: int, bar=bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            try:
                synthetic.render(Path(cfg.data.root, name), datasets.SYNTHETIC[name], seed, *counts, progress=show)
            except (FileExistsError, ValueError) as error:
                raise UserError(str(error)) from None


def measure(engine, cfg: CfgNode) -> dict[str, dict[str, float]]:
    """Tests the model on the targets: data set -> `{'mAP', 'rank1', 'rank5', 'rank10'}`, fractions."""
    names = ('dist_metric', 'normalize_feature', 'save_dir', 'use_metric_cuhk03', 'ranks')
    arguments = config.engine_run_kwargs(cfg)
    with host.recorded_results() as results:
        engine.test(**{name: arguments[name] for name in names})
    return dict(zip(engine.test_loader, results, strict=True))


def write_results(results: dict[str, dict], path: Path) -> None:
    """Writes `{stage: {'mAP': ...}}`, with a level of data sets between where there are several targets."""
    flat = {stage: next(iter(of.values())) if len(of) == 1 else of for stage, of in results.items()}
    path.write_text(json.dumps(flat, indent=2) + '\n')


def show_results(results: dict[str, dict]) -> None:
    """Prints a table in per cent for each target."""
    for target in next(iter(results.values())):
        print(f'\nResults on {target}, in per cent\n{"":16}{"mAP":>8}{"Rank-1":>8}{"Rank-5":>8}{"Rank-10":>8}')
        for stage, of in results.items():
            print(f'{stage.replace("_", " "):16}' + ''.join(f'{100 * value:8.1f}' for value in of[target].values()))


def resume(engine, path: str) -> int:
    """Goes on from a checkpoint; returns the number of epochs that are done.

    Raises:
        UserError: if the file cannot be read or belongs to another model, optimizer or number of images.
    """
    checkpoint = read_checkpoint(path)
    try:
        return engine.resume(checkpoint)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(f'{path} does not fit this run (model.resume): {reason[:200]}') from None


def train_supervised(cfg: CfgNode) -> nn.Module:
    """torchreid's own job: trains and tests any of its models, PatchNet among them, with labels; returns the model."""
    host.set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    model = build_model(cfg, datamanager.num_train_pids, cfg.model.pretrained and not cfg.model.load_weights)
    if cfg.model.load_weights:
        load = load_weights if cfg.model.name in host.BACKBONES else load_host_weights
        load(model, cfg.model.load_weights)
    engine = build_engine(cfg, datamanager, model)
    if cfg.model.resume:
        cfg.train.start_epoch = resume(engine, cfg.model.resume)
    with host.recorded_results():
        engine.run(**config.engine_run_kwargs(cfg))
    return model


def adapt(cfg: CfgNode, stage: CfgNode | None) -> dict[str, dict]:
    """The main job: pre-trains if `stage` is given, measures the direct transfer, adapts without labels, measures.

    Everything that can refuse the data or the settings is built before the pre-training starts.
    """
    host.set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    # One class: not even the number of identities reaches this stage.
    model = build_model(cfg, 1, cfg.model.pretrained and not cfg.model.load_weights and not cfg.model.resume)
    engine = build_engine(cfg, datamanager, model)
    if stage is not None:
        print(f'\n=== Pre-training with labels on {", ".join(stage.data.sources)} ===')
        pretrained = train_supervised(stage)
        host.save_atomically({'state_dict': pretrained.state_dict()}, Path(cfg.model.load_weights))
    if cfg.model.load_weights:
        loaded = load_weights(model, cfg.model.load_weights)
        print(f'Loaded {len(loaded.loaded)} tensors from {cfg.model.load_weights}')
        for words, names in (('left in the file', loaded.left), ('not in the file', loaded.missing)):
            if names:
                print(f'* {words}: {", ".join(names)}')
    host.set_random_seed(cfg.train.seed)

    path = Path(cfg.data.save_dir, 'results.json')
    print(f'\n=== Direct transfer to {", ".join(cfg.data.targets)} ===')
    results = {'direct_transfer': measure(engine, cfg)}
    write_results(results, path)
    if cfg.model.resume:
        cfg.train.start_epoch = resume(engine, cfg.model.resume)
    if not cfg.test.evaluate:
        print(f'\n=== Adapting to {", ".join(cfg.data.sources)} without labels ===')
        with host.recorded_results() as tests:
            engine.run(**config.engine_run_kwargs(cfg))
        results['adapted'] = dict(zip(engine.test_loader, tests[-len(engine.test_loader) :], strict=True))
        write_results(results, path)
    show_results(results)
    print(f'\nWritten to {path}')
    return results


def run(cfg: CfgNode) -> None:
    """Runs the job of a config.

    Raises:
        UserError: for what the user can mend, before any long work starts.
    """
    checks.check_config(cfg)
    check_names(cfg)
    cfg.model.load_weights = published.resolve(cfg.model.load_weights)
    stage = pretraining_stage(cfg) if cfg.loss.name == 'paul' else None
    kind = 'test' if cfg.test.evaluate else 'train'
    torch.backends.cudnn.benchmark = cfg.use_gpu
    with host.logged_to(Path(cfg.data.save_dir, f'{kind}.log{time.strftime("-%Y-%m-%d-%H-%M-%S")}')):
        print(f'Show configuration\n{cfg}\n')
        for part in filter(None, (cfg, stage)):
            render_data(part)
        if cfg.loss.name == 'paul':
            adapt(cfg, stage)
        else:
            train_supervised(cfg)


def main(argv: list[str] | None = None) -> None:
    """The command line: exit status 2 and one line an error for what the user can mend."""
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    try:
        run(settings.load_config(argv, DESCRIPTION))
    except UserError as error:
        for line in str(error).splitlines():
            print(f'error: {line}', file=sys.stderr)
        sys.exit(2)
