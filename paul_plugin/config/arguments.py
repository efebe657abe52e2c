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


def _values(group: CfgNode, names: str) -> dict[str, object]:
    """Keys of a group that torchreid's arguments are called by, too."""
    return {name: group[name] for name in names.split()}


def _data_kwargs(cfg: CfgNode) -> dict[str, object]:
    """What both kinds of data manager take."""
    data = 'root sources targets height width transforms norm_mean norm_std split_id combineall'
    sampler = 'num_instances num_cams num_datasets train_sampler'
    return {
        **_values(cfg.data, data),
        **_values(cfg.sampler, sampler),
        'use_gpu': cfg.use_gpu,
        'batch_size_train': cfg.train.batch_size,
        'batch_size_test': cfg.test.batch_size,
        'workers': workers(cfg),
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
        **_values(cfg.train, 'optim lr weight_decay staged_lr new_layers base_lr_mult'),
        'momentum': cfg.sgd.momentum,
        'sgd_dampening': cfg.sgd.dampening,
        'sgd_nesterov': cfg.sgd.nesterov,
        'rmsprop_alpha': cfg.rmsprop.alpha,
        'adam_beta1': cfg.adam.beta1,
        'adam_beta2': cfg.adam.beta2,
    }


def lr_scheduler_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's build_lr_scheduler, the optimizer apart."""
    return _values(cfg.train, 'lr_scheduler stepsize gamma max_epoch')


def engine_run_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of the `run` of torchreid's engines."""
    return {
        'save_dir': cfg.data.save_dir,
        'test_only': cfg.test.evaluate,
        'use_metric_cuhk03': cfg.cuhk03.use_metric_cuhk03,
        **_values(cfg.train, 'max_epoch start_epoch fixbase_epoch open_layers print_freq'),
        **_values(cfg.test, 'start_eval eval_freq dist_metric normalize_feature visrank visrank_topk ranks rerank'),
    }
