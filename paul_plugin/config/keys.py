"""The configuration of a run: torchreid's keys with its defaults, and the `paul` node of the method.

torchreid keeps its keys in a script outside its package, so they are defined again here.
"""

from yacs.config import CfgNode


def get_default_config() -> CfgNode:
    """A new config that holds every key with its default."""
    return CfgNode(
        {
            'use_gpu': False,  # load_config sets it to whether there is a GPU, unless the user sets it
            'model': {
                'name': 'resnet50',  # a model of torchreid's or of ours
                'pretrained': True,  # start from ImageNet weights
                'load_weights': '',  # file of weights to start from; what does not fit is left out
                # Checkpoint of an interrupted run to go on with; auto: the newest one of data.save_dir, if there is one
                'resume': '',
            },
            'data': {
                'type': 'image',  # image | video
                'root': 'reid-data',  # folder that holds the data sets' folders
                'sources': ['market1501'],  # data sets to train on
                'targets': ['market1501'],  # data sets to test on; None: the sources
                'workers': 4,  # processes that load images, 0: none but the main one
                'split_id': 0,  # which of the data set's own splits, for those that have several
                'height': 256,  # pixels of the network's input
                'width': 128,  # the same
                'combineall': False,  # train on query and gallery images too
                'transforms': ['random_flip'],  # augmentation of training images, see TRANSFORMS
                'k_tfm': 1,  # independently augmented copies of each training image
                'norm_mean': [0.485, 0.456, 0.406],  # of RGB, subtracted; None: these, ImageNet's
                'norm_std': [0.229, 0.224, 0.225],  # of RGB, divided by; None: these
                'save_dir': 'log',  # folder of the run's log and checkpoints
                'bad_images': 'stop',  # at a training image that cannot be read: stop | skip
                'load_train_targets': False,  # also load the targets' training images
            },
            'market1501': {
                'use_500k_distractors': False,  # enlarge the gallery by the distractor images
            },
            # The data set `folder`: any tree of crops, without labels
            'folder': {
                'path': '',  # the folder, '': data.root itself
                'labels': '',  # CSV file `path,pid,camid` of the crops to test on, paths relative to the folder
            },
            'cuhk03': {
                'labeled_images': False,  # boxes drawn by hand instead of detected ones
                'classic_split': False,  # the 20 splits of CVPR 2014 instead of the 767/700 one
                'use_metric_cuhk03': False,  # single-gallery-shot evaluation, goes with the classic split
            },
            'sampler': {
                'train_sampler': 'RandomSampler',  # order of the sources' images, see SAMPLERS
                'train_sampler_t': 'RandomSampler',  # the same for the targets' training images
                'num_instances': 4,  # RandomIdentitySampler: images of one person in a batch
                'num_cams': 1,  # RandomDomainSampler: cameras in a batch, 0: all
                'num_datasets': 1,  # RandomDatasetSampler: data sets in a batch, 0: all
            },
            'video': {
                'seq_len': 15,  # images taken from a tracklet
                'sample_method': 'evenly',  # how they are taken: evenly | random | all
                'pooling_method': 'avg',  # how their features are joined: avg | max
            },
            'train': {
                'optim': 'adam',  # see OPTIMIZERS
                'lr': 0.0003,  # learning rate at the start
                'weight_decay': 5e-4,  # L2 penalty of the weights
                'max_epoch': 60,  # epochs, those of fixbase_epoch included; 0: no training
                'start_epoch': 0,  # number of the first epoch; set by model.resume
                'batch_size': 32,  # images, or tracklets of videos, of all processes together
                'fixbase_epoch': 0,  # first epochs in which only open_layers are trained
                'open_layers': ['classifier'],  # the model's attributes that are trained in them
                'staged_lr': False,  # train new_layers faster than the others
                'new_layers': ['classifier'],  # the model's attributes that keep the full rate
                'base_lr_mult': 0.1,  # factor of the rate of all other layers
                'lr_scheduler': 'single_step',  # see SCHEDULERS
                'stepsize': [20],  # epochs: the period (single_step) or the milestones (multi_step)
                'gamma': 0.1,  # factor of the rate at a step
                'print_freq': 20,  # batches between two lines of progress
                # Mixed precision of our engines (loss.name paul, paul.supervised.released): off | bf16 | fp16
                'amp': 'off',
                'checkpoint_minutes': 5.0,  # between two checkpoints, within an epoch too; 0: after every step
                'keep_checkpoints': 2,  # newest checkpoints that are kept, beside the best by mAP
                'seed': 1,  # of every random number generator
            },
            'sgd': {
                'momentum': 0.9,  # rmsprop's as well
                'dampening': 0.0,  # of the momentum
                'nesterov': False,  # Nesterov's momentum
            },
            'rmsprop': {
                'alpha': 0.99,  # smoothing constant
            },
            'adam': {
                'beta1': 0.9,  # decay of the running mean, for amsgrad and radam too
                'beta2': 0.999,  # decay of the running mean of squares
            },
            'loss': {
                'name': 'softmax',  # softmax | triplet (torchreid's, supervised) | paul (unsupervised)
                'softmax': {
                    'label_smooth': True,  # label smoothing
                },
                'triplet': {
                    'margin': 0.3,  # by which a negative is to be farther than a positive
                    'weight_t': 1.0,  # of the triplet loss
                    'weight_x': 0.0,  # of the cross entropy beside it
                },
            },
            'test': {
                'batch_size': 100,  # images, or tracklets of videos
                'dist_metric': 'euclidean',  # euclidean | cosine
                'normalize_feature': False,  # L2-normalise descriptors first
                'ranks': [1, 5, 10, 20],  # ranks of the CMC curve to print
                'evaluate': False,  # only test
                'eval_freq': -1,  # epochs between two tests, -1: one test, after training
                'start_eval': 0,  # epoch before which no test is made
                'rerank': False,  # re-rank by k-reciprocal neighbours; with test.evaluate only
                'visrank': False,  # write pictures of ranked results; with test.evaluate only
                'visrank_topk': 10,  # results in such a picture
                'fast_rank': False,  # CMC and mAP without torchreid's Python loops, the same to the last digit
            },
            'paul': {
                'num_patches': 6,  # M, patches of an image
                'feature_dim': 256,  # D, length of a patch feature
                'patch_source': 'pgn',  # pgn (learned) | stripe | random (fixed)
                # What PEDAL compares: patches, each with its own memory bank, or, for the ablation, whole images
                'similarity': 'patch',
                'k': 10,  # PEDAL: nearest neighbours that are drawn near
                'scale': 30.0,  # s of PEDAL
                'momentum': 0.1,  # l, share of a new feature in the memory bank's running average
                'memory': {
                    'shard': False,  # with several processes: each holds its share of the memory bank, not all of it
                },
                'bank_dtype': 'float32',  # storage of the memory bank: float32 | bfloat16, at half the memory
                # IPFL's anchors: the descriptors of real images, or, as in the release, the embeddings of real images
                # and surrogates against the running mean of each image's (centroid)
                'ipfl': 'descriptor',
                'max_candidates': 0,  # candidates that an anchor tries in cyclic ranking, 0: all
                'r': 3,  # cyclic ranking: length of the candidate's list that must not hold the anchor
                'margin': 2.0,  # m of IPFL
                'weight_pedal': 2.0,  # lambda, weight of PEDAL in the objective
                'weight_ipfl': 1.0,  # weight of IPFL
                'collapse_cosine': 0.5,  # mean cosine between the bank's descriptors over which a warning is printed
                'pictures_freq': 0,  # epochs between two sets of pictures in TensorBoard, 0: none; rankings: in tests
                'surrogate': {
                    'transforms': ['crop', 'rotation', 'colour'],  # which there are; []: the image is its own surrogate
                    'crop': [0.7, 0.95],  # smallest and largest share of the area that a crop keeps
                    'rotation': 10.0,  # largest angle, in degrees
                    'jitter': 0.2,  # largest relative change of brightness, contrast or saturation
                    'hue': 0.0,  # largest shift of the hue, share of the circle; with sequence only
                    'sequence': False,  # all transformations one after the other, as in the release, not one at random
                },
                # PatchNet's pre-training, with labels
                'supervised': {
                    'released': False,  # the release's loss: sum over the branches, nearest positive
                    'mixup': 0.0,  # alpha of mixup, 0: none; with released only
                    'warmup_epochs': 0,  # epochs in which the learning rate rises from a tenth to the whole
                    # Learning rates by part, [[EPOCH, RATE], ...], from that epoch (of 0, 1, ...) on. Where they are
                    # given, all three are, and train.lr and train.lr_scheduler count for nothing.
                    'schedule': {
                        'heads': [],  # of the branches, their classifiers and embeddings
                        'backbone': [],
                        'pgn': [],  # frozen while it is 0
                    },
                },
                'pretrain': {
                    # Config file of the pre-training stage. A relative path is tried from the working
                    # directory, then from the folder of the file that names it; once loaded it is absolute.
                    'config': '',
                    'opts': [],  # KEY, VALUE, ... that override that file, e.g. ['train.max_epoch', 1]
                },
                'synthetic': {
                    'train_ids': 100,  # people in a rendered training set
                    'test_ids': 50,  # people in query and gallery
                    'images_per_id': 11,  # of each person, over all cameras
                    'seed': -1,  # of the rendering, -1: train.seed
                },
            },
        }
    )


def all_keys(cfg: CfgNode) -> list[str]:
    """Full names (`train.lr`) of all keys, groups left out."""
    return [
        key
        for name, value in cfg.items()
        for key in ([f'{name}.{rest}' for rest in all_keys(value)] if isinstance(value, CfgNode) else [name])
    ]


def value_of(cfg: CfgNode, key: str) -> object:
    """The value of a key by its full name."""
    for part in key.split('.'):
        cfg = cfg[part]
    return cfg
