"""Tables of the ablation: their plans, and runs that look finished."""

import json

from helpers.jobs import PROJECT

from paul_plugin.ablation import tables
from paul_plugin.ablation.plan import RECORD, check_base, make_plan
from paul_plugin.commands import run_words
from paul_plugin.run.record import results_path

PRETRAINING = ['train.max_epoch', 1, 'train.batch_size', 8, 'data.transforms', ['random_flip']]
WORDS = [
    '--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), 'data.workers', '0', 'train.max_epoch', '1',
    'train.batch_size', '8', 'paul.k', '3', 'paul.pretrain.opts', str(PRETRAINING), 'paul.synthetic.seed', '5',
    'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
    'data.height', '48',
]  # fmt: skip


def plan_of(name, out, *words, seeds=(1,), values=None, rows=None):
    cfg = run_words.load_config([*WORDS, *words])
    check_base(cfg)
    return make_plan(tables.make_table(name, cfg, values), [*WORDS, *words], cfg, seeds, out, rows)


def finish(run, mean_ap=0.5, stages=('direct_transfer', 'adapted'), seconds=60.0):
    """Leaves in a run's folder what a finished one leaves."""
    run.folder.mkdir(parents=True)
    found = {'mAP': mean_ap, 'rank1': 0.6, 'rank5': 0.7, 'rank10': 0.8}
    record = {'identity': run.identity, 'seconds': seconds, 'finished': True, 'software': {'torch': '2'}}
    (run.folder / results_path(run.cfg).name).write_text(json.dumps(dict.fromkeys(stages, found)))
    (run.folder / RECORD).write_text(json.dumps(record))
    if run.stage is not None:
        run.weights.touch()
