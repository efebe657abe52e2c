"""Which runs of the job a table needs: one folder a run, shared by all tables that need the same one."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from ..checkpoints import resume
from ..checkpoints.published import PUBLISHED
from ..config import checks
from ..config.changes import list_of
from ..config.keys import Mark, all_keys, marked, value_of
from ..config.settings import with_keys
from ..data.folder import NAME
from ..data.synthetic.datasets import SYNTHETIC
from ..run import record, start
from ..run.data import root_of
from ..runtime.errors import UserError, printable, raise_together
from .tables import Table

METRICS = ('mAP', 'rank1', 'rank5', 'rank10')
RECORD = 'ablation.json'  # in a run's folder: its command, what tells it from others, the seconds that it took
_TYPES = {'identity': (dict,), 'software': (dict,), 'seconds': (int, float), 'finished': (bool,)}  # of its values
_MOST_SECONDS = 1e9
_SAME = marked(Mark.SAME)  # the seed has its own folder, and of the pre-training the whole config counts
OF_TRANSFER = marked(Mark.TRANSFER)
_OF_WEIGHTS = marked(Mark.WEIGHTS)


@dataclass(eq=False)
class Run:
    """One run of `paul train`.

    Attributes:
        name: for messages.
        cfg: its configuration.
        identity: what tells it from runs with other results, the seed apart.
        folder: its data.save_dir.
        words: its command line.
        starts_from: the run that makes the weights that this one starts from; None where it needs none.
        stage: the pre-training by which it makes such weights itself; None where it makes none.
    """

    name: str
    cfg: CfgNode
    identity: dict[str, object]
    folder: Path
    words: list[str]
    starts_from: 'Run | None'
    stage: CfgNode | None

    @property
    def wanted(self) -> str:
        """The result that the run is for."""
        return 'direct_transfer' if self.cfg.test.evaluate else 'adapted'

    def results(self) -> dict[str, dict[str, dict[str, float]]]:
        """Stage -> target -> metric -> fraction, of the stages that were measured on all targets."""
        if read_record(self.folder).get('identity') != self.identity:
            return {}
        targets = self.cfg.data.targets
        found = record.read_results(self.folder / record.results_path(self.cfg).name, targets)
        needed = {'mAP', 'rank1'}  # further ranks are not told of a gallery that is too small for them
        return {stage: of for stage, of in found.items() if all(numbers.keys() >= needed for numbers in of.values())}

    def finished(self) -> bool:
        return self.wanted in self.results() and (self.stage is None or self.weights.is_file())

    @property
    def weights(self) -> Path:
        """Where the pre-trained weights lie, of a run that makes them."""
        return self.folder / start.PRETRAINED


def read_record(folder: Path) -> dict:
    """What is noted in a run's folder; nothing of a file that is not there or not whole, or of another type."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        found = {}
    items = found.items() if isinstance(found, dict) else ()
    record = {name: value for name, value in items if type(value) in _TYPES.get(name, ())}
    if not 0 <= record.get('seconds', 0) < _MOST_SECONDS:
        del record['seconds']
    software = record.get('software', {}).items()
    record['software'] = {printable(name): printable(version) for name, version in software if type(version) is str}
    return record


@dataclass
class Plan:
    """The runs of a table.

    Attributes:
        cells: (row's name, seed) -> its run; two cells may share one.
        chosen: names of the rows that are to be run; the others are read where they are there.
    """

    table: Table
    seeds: list[int]
    cells: dict[tuple[str, int], Run]
    chosen: list[str]

    def pending(self) -> list[Run]:
        """The runs that are still to be made, each after the one that it starts from."""
        runs = {}
        for seed in self.seeds:
            for name in self.chosen:
                run = self.cells[name, seed]
                if run.finished():
                    continue
                if run.starts_from and not run.starts_from.finished():
                    runs[run.starts_from.folder] = run.starts_from
                runs[run.folder] = run
        return list(runs.values())


def make_plan(
    table: Table, words: Sequence[str], cfg: CfgNode, seeds: Iterable[int], out: Path, rows: Iterable[str] | None = None
) -> Plan:
    """Finds out which runs a table needs, and checks the configuration of each.

    Args:
        table: of `make_table`.
        words: the command line of `paul train` that the rows change.
        cfg: what `load_config` makes of it.
        seeds: of the runs.
        out: the folder of the results.
        rows: names of the rows that are to be run; None for all.

    Raises:
        UserError: for what is wrong with the rows, each complaint once.
    """
    planner = _Planner(words, cfg, out)
    cells, errors = {}, {}
    seeds = list(dict.fromkeys(seeds))
    for seed in seeds:
        for row in table.rows:
            try:
                cells[row.name, seed] = planner.run(row.name, {'test.evaluate': False, **row.keys}, seed)
            except UserError as error:
                errors.setdefault(row.name, str(error))
    if len(errors) > 1 and len(set(errors.values())) == 1:  # such as missing data, which all rows need
        raise UserError(next(iter(errors.values())))
    raise_together([f'row {name!r}: {line}' for name, error in errors.items() for line in error.splitlines()])
    return Plan(table, seeds, cells, [row.name for row in table.rows] if rows is None else list(rows))


def check_base(cfg: CfgNode) -> None:
    """Refuses a configuration that no table can be made of.

    Raises:
        UserError: saying why.
    """
    checks.check_config(cfg)
    if cfg.loss.name != 'paul':
        raise UserError(f'loss.name = {cfg.loss.name!r}: the tables are of the unsupervised stage, loss.name paul')
    labelled = cfg.folder.labels or Path(root_of(cfg, NAME), 'query').is_dir()
    if NAME in cfg.data.targets and not labelled:
        raise UserError(
            "data.targets = ['folder']: nothing can be measured without labels: set folder.labels, or give the folder "
            'sub-folders query and gallery'
        )
    weights = cfg.model.load_weights
    if weights and weights not in PUBLISHED and not os.path.isfile(weights):
        start.refuse_missing(weights)


class _Planner:
    """Makes the runs, each once."""

    def __init__(self, words: Sequence[str], cfg: CfgNode, out: Path) -> None:
        self.words = list(words)
        self.cfg = cfg
        self.runs_folder = out / 'runs'
        self.folders: dict[str, Path] = {}  # by the digest of the identity
        self.runs: dict[Path, Run] = {}  # by the folder

    def run(self, name: str, keys: dict[str, object], seed: int) -> Run:
        """The run of the config with these keys and this seed."""
        keys = {**keys, 'train.seed': seed}
        cfg, stage = self.checked(keys)
        identity = _identity(cfg, stage)
        folder = self.folder(cfg, identity)
        if folder in self.runs:
            return self.runs[folder]
        starts_from = None
        if stage is not None and not cfg.test.evaluate:
            starts_from = self.pretraining(name, keys, seed)
            keys['model.load_weights'] = str(starts_from.weights)
            stage = None
        keys |= {'data.save_dir': str(folder), 'model.resume': resume.AUTO}
        words = [*self.words, *map(str, _pairs(keys))]
        self.runs[folder] = Run(f'{name}, seed {seed}', cfg, identity, folder, words, starts_from, stage)
        return self.runs[folder]

    def checked(self, keys: dict[str, object]) -> tuple[CfgNode, CfgNode | None]:
        """The config with these keys, and that of the pre-training that it needs; adds what follows from the keys.

        Raises:
            UserError: for what is wrong with them.
        """
        cfg = with_keys(self.cfg, _pairs(keys))
        other_model = not _OF_WEIGHTS.isdisjoint(_changed(self.cfg, cfg))
        if cfg.model.load_weights and other_model:  # than that of the user's weights
            if not cfg.paul.pretrain.config:
                raise UserError('it needs weights of its own: name the stage that makes them, paul.pretrain.config')
            keys['model.load_weights'] = ''
        keys['data.root'] = _root(cfg)
        cfg = with_keys(self.cfg, _pairs(keys))
        checks.check_config(cfg)
        start.check_names(cfg)
        needs_stage = cfg.paul.pretrain.config and not cfg.model.load_weights
        return cfg, start.stage_config(cfg) if needs_stage else None

    def pretraining(self, name: str, keys: dict[str, object], seed: int) -> Run:
        """The run that makes the weights for a row: the direct transfer of the same model."""
        of_weights = {key: value for key, value in keys.items() if key in _OF_WEIGHTS}
        of_row = f' for {name}' if _changed(self.cfg, with_keys(self.cfg, _pairs(of_weights))) else ''
        return self.run(f'pre-training{of_row}', {**of_weights, 'test.evaluate': True}, seed)

    def folder(self, cfg: CfgNode, identity: dict[str, object]) -> Path:
        """Where the run is; the same settings reached in another way have another slug, and the same folder."""
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        if digest not in self.folders:
            there = sorted(self.runs_folder.glob(f'*-{digest}'))
            self.folders[digest] = there[0] if there else self.runs_folder / f'{_slug(self.cfg, cfg)}-{digest}'
        return self.folders[digest] / f'seed{cfg.train.seed}'


def _pairs(keys: dict[str, object]) -> list[object]:
    return [part for pair in keys.items() for part in pair]


def _changed(base: CfgNode, cfg: CfgNode) -> dict[str, object]:
    """The keys of a config that differ from those of another one."""
    return {key: value_of(cfg, key) for key in all_keys(cfg) if value_of(cfg, key) != value_of(base, key)}


def _root(cfg: CfgNode) -> str:
    """data.root; where the data are rendered from the run's seed, a folder for each seed in it.

    Raises:
        UserError: if other data sets are expected there too.
    """
    names = {*cfg.data.sources, *cfg.data.targets}
    if cfg.paul.synthetic.seed >= 0 or not names & set(SYNTHETIC):
        return cfg.data.root
    if names - set(SYNTHETIC):
        raise UserError('paul.synthetic.seed = -1: beside other data sets, the rendered ones need a seed of their own')
    return str(Path(cfg.data.root, f'seed{cfg.train.seed}'))


def _identity(cfg: CfgNode, stage: CfgNode | None) -> dict[str, object]:
    """What tells a run from those with other results, the seed apart, as JSON knows it."""
    keys = [key for key in all_keys(cfg) if key not in _SAME]
    if cfg.test.evaluate:
        keys = [key for key in keys if key in OF_TRANSFER]
    identity = {key: list_of(value_of(cfg, key)) for key in keys}
    return identity if stage is None else {**identity, 'pretraining': _identity(stage, None)}


def _slug(base: CfgNode, cfg: CfgNode) -> str:
    """A readable name for the folder: what differs from the table's config."""
    differs = {key: value for key, value in _changed(base, cfg).items() if key not in _SAME or 'pretrain' in key}
    transfer = differs.pop('test.evaluate', False)
    parts = ['direct_transfer'] * transfer + [f'{key.rpartition(".")[2]}={value}' for key, value in differs.items()]
    return re.sub(r'[^\w.=+,-]+', '_', ','.join(parts) or 'as_configured')[:80]
