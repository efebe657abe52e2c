"""The report of a trained model: what its file and the folder of its run tell, put on a page."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from ..engines.watch.verdict import signs_of, verdict
from ..run.record import RunNumbers, history_of, read_run, read_signs
from ..run.trained import Trained
from ..runtime.errors import printable
from .curves import curves_beside
from .embedding import Picture
from .page import write_report


def make_report(trained: Trained, out: str | Path, pictures: Sequence[Picture]) -> Path:
    """Writes the report of a trained model: what its run wrote, and pictures of it.

    Args:
        trained: the model; its numbers come from the folder of its run or, where that is not there, from its file.
        out: the HTML file.
        pictures: of the model; the curves are added before them.

    Returns:
        The path of the file.

    Raises:
        UserError: if matplotlib is missing.
        OSError: if the file cannot be written.

    Example:
        >>> make_report(trained, 'report.html', [Picture('Patches', 'Where they lie.', image)])
        PosixPath('report.html')
    """
    run = RunNumbers([], {}) if trained.run is None else read_run(trained.run)
    run = run._replace(history=run.history or history_of(trained.checkpoint.get('history')))
    config = trained.cfg if trained.checkpoint.get('config') else None
    results = run.results or _last_test(run.history)
    pictures = [*curves_beside(trained, run), *pictures]
    write_report(out, _title(trained), _facts(trained), config, results, run.history, pictures, _verdict(trained, run))
    return Path(out)


def _verdict(trained: Trained, run: RunNumbers) -> str:
    """The verdict of an unsupervised run; nothing of one that knew no signs, or has trained no epoch."""
    recorded = trained.checkpoint.get('signs')
    if trained.cfg.loss.name != 'paul' or recorded is None or not run.history:
        return ''
    signs = read_signs(trained.run) if trained.run else []
    return f'{verdict(signs or signs_of(recorded), run.history, trained.cfg.paul.keep)}.'


def _last_test(history: list[dict[str, float]]) -> dict[str, dict[str, dict[str, float]]]:
    """The last test of a run that writes no results, such as one with labels, as if it did."""
    tests = [entry for entry in history if 'mAP' in entry and 'rank1' in entry]
    return {f'epoch {test["epoch"]:g}': {'': {name: test[name] for name in ('mAP', 'rank1')}} for test in tests[-1:]}


def _title(trained: Trained) -> str:
    cfg = trained.cfg
    if not trained.checkpoint.get('config'):
        return f'{cfg.model.name}: {printable(trained.path.name)}'
    sources = ', '.join(cfg.data.sources)
    if cfg.loss.name == 'paul':
        return f'{cfg.model.name} adapted to {sources} without labels'
    return f'{cfg.model.name} trained on {sources}'


def _facts(trained: Trained) -> list[tuple[str, object]]:
    """What identifies the model, as far as its file tells."""
    cfg, checkpoint = trained.cfg, trained.checkpoint
    facts = [
        ('Model', f'{cfg.model.name}, {cfg.paul.num_patches} patches x {cfg.paul.feature_dim} numbers'),
        ('Images', f'{cfg.data.height} x {cfg.data.width} pixels, height x width'),
        ('Weights', printable(trained.path)),
    ]
    if checkpoint.get('config'):
        facts.insert(0, ('Data', f'trained on {", ".join(cfg.data.sources)}, tested on {", ".join(cfg.data.targets)}'))
        facts.append(('Seed', cfg.train.seed))
    epoch, software = checkpoint.get('epoch'), checkpoint.get('software')
    if isinstance(epoch, int) and 0 <= epoch < 2**63:  # Python writes no integer of thousands of digits
        facts.append(('Epochs', epoch))
    facts.append(_date(trained))
    if isinstance(software, dict):
        versions = [printable(f'{name} {version}') for name, version in software.items() if isinstance(version, str)]
        facts.append(('Software', ', '.join(versions)))
    return facts


def _date(trained: Trained) -> tuple[str, str]:
    """When the run was last started, by the name of its log; the date of the weights where there is no log."""
    logs = sorted(path.name for path in trained.run.glob('train.log-*')) if trained.run else []
    started = re.fullmatch(r'train\.log-(\d+-\d+-\d+)-(\d+)-(\d+)-\d+(?:-\d+)?', logs[-1]) if logs else None
    if started:
        return 'Started', '{} {}:{}'.format(*started.groups())
    return 'Saved', time.strftime('%Y-%m-%d %H:%M', time.localtime(trained.path.stat().st_mtime))
