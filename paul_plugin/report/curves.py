"""The curves of runs: of any folders in one picture, and of a report's run with what they show."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from yacs.config import CfgNode

from ..figures.curves import RunCurves, draw_curves
from ..run.record import RunNumbers, read_run
from ..run.trained import Trained
from ..runtime.errors import UserError, printable
from ..runtime.names import one_or_more, short_names
from .embedding import Picture


def curves_of(paths: str | Path | Sequence[str | Path]) -> Image.Image:
    """The curves of the runs in these folders, each called by the shortest end of its path that no other has.

    Raises:
        UserError: if a folder is not there, none holds a history, or matplotlib is missing.

    Example:
        >>> curves_of(['log/pedal', 'log/ipfl']).save('curves.png')
    """
    folders = list(dict.fromkeys(Path(path).resolve() for path in one_or_more(paths)))
    names = short_names(map(str, folders))
    runs = [RunCurves(printable(names[str(folder)]), *read_run(folder)) for folder in folders]
    if not any(run.history for run in runs):
        where = ' or '.join(printable(folder / 'history.json') for folder in folders)
        raise UserError(f'no epoch in {where}: name the folder (data.save_dir) of a run that has trained an epoch')
    return draw_curves(runs)


def curves_beside(trained: Trained, run: RunNumbers) -> list[Picture]:
    """The curves of a model's run and of the pre-training stage in its folder, as far as there are any.

    Raises:
        UserError: if matplotlib is missing.
    """
    stage = None if trained.run is None else trained.run / 'pretrain'
    before = read_run(stage).history if stage and stage.is_dir() else []
    pictures = []
    if run.history:
        pictures.append(
            Picture('Curves', _explain_curves(trained.cfg, run.history), draw_curves([RunCurves('this run', *run)]))
        )
    if before:
        explanation = 'The stage that made the weights which this run started from, with labels on its own data.'
        pictures.append(Picture('Pre-training', explanation, draw_curves([RunCurves('pre-training', before, {})])))
    return pictures


def _explain_curves(cfg: CfgNode, history: list[dict[str, float]]) -> str:
    parts = ['Means over the steps of each epoch.']
    method = cfg.paul
    if cfg.loss.name == 'paul':
        losses = {
            'PEDAL (section 3.2), which draws patches to their nearest in the memory bank': method.weight_pedal,
            'IPFL (section 3.3), which draws an image to its surrogate and away from a negative that cyclic ranking '
            'mines': method.weight_ipfl,
        }
        weighted = ', + '.join(f'{weight:g} x {words}' for words, weight in losses.items() if weight)
        parts += [
            f'The loss is {weighted}. The mean cosine between the descriptors in the bank warns',
            f'of a collapse when it passes {method.collapse_cosine:g}. A patch finds itself if its own row of the',
            f'bank, before the step, is among the {method.k} nearest: where few do, the network outruns its bank.',
        ]
    if any('mutuality' in entry for entry in history):
        parts += [
            'Patch agreement is how often a patch and its whole image choose the same crops of other cameras: the run',
            'keeps a model by it. It must rise by more where the effective rank falls: in how many directions the',
            'descriptors differ. Camera mutuality is how often two crops of different cameras choose each other as',
            'nearest, camera mixing how many of the nearest crops come from other cameras, 1 by chance: both also rise',
            'where people are confused.',
        ]
    if any('mAP' in entry for entry in history):
        parts.append('mAP and Rank-1 are those of the first target with labels, where a test was made;')
        parts.append('a dashed line is the direct transfer, the model before it was adapted.')
    return ' '.join(parts)
