"""Builds what a run needs from its config: the model, and the engine with its optimizer and scheduler."""

import functools
import warnings

import torch
import torchreid
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from .. import registry
from ..checkpoints.weights import load_host_weights, load_weights
from ..checkpoints.weights_file import WeightsFile
from ..config import arguments
from ..config.keys import AUTO
from ..engines.base import ResumableEngine
from ..engines.paul import ImagePAULEngine
from ..engines.pretrain import ImagePretrainEngine
from ..engines.rate import LADDER, choose_rate
from ..engines.resumable import resumable
from ..engines.schedule import schedule_parts, warm_up
from ..engines.watch.keep import KeepBest
from ..engines.watch.observer import Observer
from ..engines.watch.signs import CameraSigns
from ..host.data import DataManager
from ..host.engine import supervised_engine, unwrap
from ..host.models import PretrainedWeightsWarning, weights_cache
from ..registry import BACKBONES
from ..runtime import processes
from ..runtime.errors import UserError, is_out_of_memory, nearest, raise_together, reason
from .model_keys import patchnet_options
from .tensorboard import TensorBoardPictures

# For paul.scale auto, measured on crops of Market-1501 (.docs/variants.md): of about 900 5.0 gained up to 5 points of
# mAP over 10.0, of 4,053 it lost 3. 2,000 lies halfway, by their ratio.
MANY_IMAGES = 2000
SCALE_OF_FEW, SCALE_OF_MANY = 5.0, 10.0


def build_model(cfg: CfgNode, num_classes: int, pretrained: bool) -> nn.Module:
    """The model that the config names, on the GPU if `use_gpu`.

    Raises:
        UserError: if its ImageNet weights are wanted and cannot be had, or if it cannot take images of this size.
    """
    print(f'Building model: {cfg.model.name}')
    options = patchnet_options(cfg) if cfg.model.name in BACKBONES else {}
    with warnings.catch_warnings():
        warnings.simplefilter('error', PretrainedWeightsWarning)
        build = functools.partial(
            registry.build_model,
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
        except PretrainedWeightsWarning as warning:
            raise UserError(
                f'{warning}; set model.pretrained False to accept that, or model.load_weights to a file, '
                f'or put the weights into {weights_cache(BACKBONES.get(cfg.model.name, cfg.model.name))}'
            ) from None
    check_image_size(cfg, model)
    if cfg.use_gpu and processes.world_size() > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model = model.to(memory_format=torch.channels_last)  # the faster layout of convolutions, on CPUs and GPUs
    return model.cuda() if cfg.use_gpu else model


@torch.no_grad()
def check_image_size(cfg: CfgNode, model: nn.Module) -> None:
    """Shows a model one image, on the CPU: each of torchreid's has its own smallest size, and none says so.

    Raises:
        UserError: if it fails.
    """
    try:
        model.eval()(torch.zeros(1, 3, cfg.data.height, cfg.data.width))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise UserError(
            f'{cfg.model.name} cannot take images of data.height {cfg.data.height}, data.width {cfg.data.width} '
            f'({reason(error, 200)}): compare with the size that torchreid names for it'
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


def build_engine(cfg: CfgNode, datamanager: DataManager, model: nn.Module) -> ResumableEngine:
    """The engine that `cfg.loss.name` names, with its optimizer, scheduler and checkpoints' settings."""
    check_layers(cfg, model)
    engine = _build_engine(cfg, datamanager, model)
    engine.checkpoint_minutes = cfg.train.checkpoint_minutes
    engine.keep_checkpoints = cfg.train.keep_checkpoints
    engine.config = cfg.dump()
    return _testing(engine, cfg)


def _testing(engine: ResumableEngine, cfg: CfgNode) -> ResumableEngine:
    """The engine, with its seed and what a config says of its tests."""
    engine.seed = cfg.train.seed
    engine.fast_rank = cfg.test.fast_rank
    engine.centre_cameras = cfg.test.centre_cameras
    engine.camera_norms = cfg.test.camera_norms
    return engine


def observers_of(cfg: CfgNode, signs: CameraSigns) -> list[Observer]:
    """What looks on at the unsupervised stage, beside the engine's own observers.

    Args:
        cfg: the config.
        signs: one of them, which the run is asked about when it ends.
    """
    pictures = [TensorBoardPictures(cfg.paul.pictures_freq)] if cfg.paul.pictures_freq else []
    return [*pictures, signs, *([KeepBest(signs)] if cfg.paul.keep == 'best' else [])]


def load_into(cfg: CfgNode, model: nn.Module, file: WeightsFile) -> list[str]:
    """Loads a file of weights into a model that was built by a config: one of ours, or torchreid's own.

    Returns:
        The norms whose statistics the file does not tell, as `LoadedWeights.unmeasured` has them.

    Raises:
        UserError: for a file that cannot be read, or weights of another model.
    """
    if cfg.model.name in BACKBONES:
        return load_weights(model, file).unmeasured
    return load_host_weights(model, file)


def build_test_engine(cfg: CfgNode, datamanager: DataManager, model: nn.Module) -> ResumableEngine:
    """An engine that only tests: it asks nothing of the training images, and has no memory bank."""
    optimizer = torchreid.optim.build_optimizer(model, optim='sgd')  # which torchreid's engines want
    engine = resumable(torchreid.engine.ImageSoftmaxEngine)(datamanager, model, optimizer, use_gpu=cfg.use_gpu)
    return _testing(engine, cfg)


def build_optimizer(cfg: CfgNode, model: nn.Module, rate: float) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """The optimizer of this rate and its scheduler."""
    supervised = cfg.paul.supervised
    optimizer = torchreid.optim.build_optimizer(model, **arguments.optimizer_kwargs(cfg) | {'lr': rate})
    if supervised.schedule.heads:
        scheduler = schedule_parts(optimizer, model, supervised.schedule, supervised.warmup_epochs)
    else:
        scheduler = torchreid.optim.build_lr_scheduler(optimizer, **arguments.lr_scheduler_kwargs(cfg))
        if supervised.warmup_epochs:
            scheduler = warm_up(optimizer, scheduler, supervised.warmup_epochs)
    return optimizer, scheduler


def scale_for(images: int, asked: float | str) -> float:
    """PEDAL's scale; of `auto` the one for so many training images, which it says.

    Example:
        >>> scale_for(900, 30.0)
        30.0
    """
    if asked != AUTO:
        return asked
    scale = SCALE_OF_FEW if images < MANY_IMAGES else SCALE_OF_MANY
    print(f'paul.scale auto: takes {scale:g} for {images} training images')
    return scale


def fit_rate(cfg: CfgNode, engine: ResumableEngine) -> None:
    """With train.lr auto, gives the engine the optimizer of a rate that fits; for a run that starts anew."""
    if cfg.train.lr == AUTO:
        layers = {name: cfg.train[name] for name in ('fixbase_epoch', 'open_layers')}
        choose_rate(engine, functools.partial(build_optimizer, cfg, unwrap(engine.model)), **layers)


def _build_engine(cfg: CfgNode, datamanager: DataManager, model: nn.Module) -> ResumableEngine:
    """The engine that `cfg.loss.name` names, with its optimizer and scheduler.

    Raises:
        UserError: if the data do not fit the method's settings.
    """
    supervised = cfg.paul.supervised
    rate = LADDER[0] if cfg.train.lr == AUTO else cfg.train.lr
    optimizer, scheduler = build_optimizer(cfg, model, rate)
    common = {'optimizer': optimizer, 'scheduler': scheduler, 'use_gpu': cfg.use_gpu}
    if cfg.loss.name == 'paul':
        method = cfg.paul
        numbers = 'k k_camera overlap scale margin r momentum weight_pedal weight_ipfl collapse_cosine'
        words = 'neighbours positives similarity ipfl bank_dtype'
        options = {name: method[name] for name in f'{numbers} {words}'.split()}
        options |= {'shard_memory': method.memory.shard, 'recall_guard': method.guard}
        count = len(datamanager.train_loader.dataset)
        if count <= method.k:
            raise UserError(f'paul.k {method.k} needs more training images than that, there are {count}: lower it')
        options['scale'] = scale_for(count, method.scale)
        try:
            return ImagePAULEngine(
                datamanager, model, max_candidates=method.max_candidates or None, amp=cfg.train.amp, **options, **common
            )
        except ValueError as error:
            raise UserError(str(error).removeprefix('ImagePAULEngine: ')) from None  # who types keys knows no class
    common['label_smooth'] = cfg.loss.softmax.label_smooth
    if cfg.loss.name == 'triplet':
        common |= {name: cfg.loss.triplet[name] for name in ('margin', 'weight_t', 'weight_x')}
    if cfg.data.type == 'video':
        common['pooling_method'] = cfg.video.pooling_method
    if supervised.released:
        return ImagePretrainEngine(datamanager, model, mixup=supervised.mixup, amp=cfg.train.amp, **common)
    return resumable(supervised_engine(cfg.data.type, cfg.loss.name))(datamanager, model, **common)
