"""The config's values as arguments of torchreid's classes and functions."""

import os

from yacs.config import CfgNode


def cores() -> int:
    """The cores that the system lets this process use, which may be fewer than the machine has; at least 1."""
    # Windows and macOS tell the machine's alone.
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def workers(cfg: CfgNode) -> int:
    """How many processes load images: `data.workers`, but no more than there are cores, which would only get less."""
    return min(cfg.data.workers, cores())


def _data_kwargs(cfg: CfgNode) -> dict[str, object]:
    """What both kinds of data manager take."""
    return {
        'root': cfg.data.root,
        'sources': cfg.data.sources,
        'targets': cfg.data.targets,
        'height': cfg.data.height,
        'width': cfg.data.width,
        'transforms': cfg.data.transforms,
        'norm_mean': cfg.data.norm_mean,
        'norm_std': cfg.data.norm_std,
        'use_gpu': cfg.use_gpu,
        'split_id': cfg.data.split_id,
        'combineall': cfg.data.combineall,
        'batch_size_train': cfg.train.batch_size,
        'batch_size_test': cfg.test.batch_size,
        'workers': workers(cfg),
        'num_instances': cfg.sampler.num_instances,
        'num_cams': cfg.sampler.num_cams,
        'num_datasets': cfg.sampler.num_datasets,
        'train_sampler': cfg.sampler.train_sampler,
    }


def imagedata_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's ImageDataManager."""
    return _data_kwargs(cfg) | {
        'k_tfm': cfg.data.k_tfm,
        'load_train_targets': cfg.data.load_train_targets,
        'train_sampler_t': cfg.sampler.train_sampler_t,
        'cuhk03_labeled': cfg.cuhk03.labeled_images,
        'cuhk03_classic_split': cfg.cuhk03.classic_split,
        'market1501_500k': cfg.market1501.use_500k_distractors,
    }


def videodata_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's VideoDataManager."""
    return _data_kwargs(cfg) | {'seq_len': cfg.video.seq_len, 'sample_method': cfg.video.sample_method}


def optimizer_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's build_optimizer, the model apart."""
    return {
        'optim': cfg.train.optim,
        'lr': cfg.train.lr,
        'weight_decay': cfg.train.weight_decay,
        'momentum': cfg.sgd.momentum,
        'sgd_dampening': cfg.sgd.dampening,
        'sgd_nesterov': cfg.sgd.nesterov,
        'rmsprop_alpha': cfg.rmsprop.alpha,
        'adam_beta1': cfg.adam.beta1,
        'adam_beta2': cfg.adam.beta2,
        'staged_lr': cfg.train.staged_lr,
        'new_layers': cfg.train.new_layers,
        'base_lr_mult': cfg.train.base_lr_mult,
    }


def lr_scheduler_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's build_lr_scheduler, the optimizer apart."""
    return {name: cfg.train[name] for name in ('lr_scheduler', 'stepsize', 'gamma', 'max_epoch')}


def engine_run_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of the `run` of torchreid's engines."""
    train = ('max_epoch', 'start_epoch', 'fixbase_epoch', 'open_layers', 'print_freq')
    test = (
        'start_eval',
        'eval_freq',
        'dist_metric',
        'normalize_feature',
        'visrank',
        'visrank_topk',
        'ranks',
        'rerank',
    )
    return {
        'save_dir': cfg.data.save_dir,
        'test_only': cfg.test.evaluate,
        'use_metric_cuhk03': cfg.cuhk03.use_metric_cuhk03,
        **{name: cfg.train[name] for name in train},
        **{name: cfg.test[name] for name in test},
    }
