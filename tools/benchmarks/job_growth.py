"""What more crops cost a whole job: rendered data sets of growing size, one epoch each, in one process and in two."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torchreid

from paul_plugin.figures.plot import as_image, new_figure, tidy

from .job import run_job

CHECKOUT = Path(__file__).parents[2]
SIZES = (1_000, 10_000, 100_000)
MILLION = 1_000_000
A_PERSON = 100  # crops
# What the time of a stage grows with: a step walks over the whole bank, so an epoch has a part that is quadratic.
STAGES = {
    'filling the bank': 'images',
    'choosing positives': 'their square',
    'steps': 'images and their square',
}
TORCHRUN = (sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2')


def reckoned(sizes: Sequence[int], seconds: Sequence[float], wanted: int, grows_with: str) -> float:
    """Seconds of a stage at another size, by its two largest measured ones.

    Args:
        sizes: crops, two or more, ascending.
        seconds: of the stage at each.
        wanted: crops.
        grows_with: a value of `STAGES`.

    Example:
        >>> reckoned([10, 100], [20.0, 1100.0], 1000, 'images and their square')
        101000.0
    """
    (fewer, more), (before, after) = sizes[-2:], seconds[-2:]
    if grows_with == 'images':
        return after * wanted / more
    if grows_with == 'their square':
        return after * (wanted / more) ** 2
    square = max(0.0, (after / more - before / fewer) / (more - fewer))
    return (after / more - square * more) * wanted + square * wanted**2


def _job(images: int, root: Path, start: Path) -> list[str]:
    """Arguments of a job of so many crops of 64x32 and OSNet x0.25, the positives chosen as for one's own crops."""
    words = f"""
        --config-file paul_synthetic_hard_cameras data.height 64 data.width 32 data.transforms ['random_flip']
        data.workers 0 paul.positives reciprocal paul.k 20 paul.synthetic.train_ids {images // A_PERSON}
        paul.synthetic.images_per_id {A_PERSON} paul.synthetic.test_ids 10 train.max_epoch 1
    """
    return [*words.split(), 'data.root', str(root), 'model.load_weights', str(start)]


def measured(images: int, launcher: Sequence[str], folder: Path) -> dict[str, float]:
    """Seconds of each of `STAGES`, of the whole job, and MiB at its peak.

    Args:
        images: crops.
        launcher: what starts the program, () for this Python.
        folder: rendered crops are left there, so that rendering is no part of a second job of the same size.
    """
    start = folder / 'osnet.pth'
    if not start.exists():
        torch.manual_seed(0)
        net = torchreid.models.build_model('osnet_x0_25', num_classes=2, pretrained=False)
        torch.save({'state_dict': net.state_dict()}, start)
    seconds, peak, stages = run_job(CHECKOUT, _job(images, folder / str(images), start), launcher=launcher)
    return {'in all': seconds, 'peak_mib': peak} | {stage: stages.get(stage, 0.0) for stage in STAGES}


def job_growth(sizes: Sequence[int] = SIZES, picture: str | None = None) -> dict[str, dict]:
    """Times jobs of growing size, prints a table with what a million crops would take, and draws it.

    Args:
        sizes: crops, multiples of 100, ascending.
        picture: a PNG file that the plot is written to.
    """
    figures = {}
    print(f'\n| crops, processes | in all | {" | ".join(STAGES)} | peak of a process, MiB |\n| --- |{" --- |" * 5}')
    with tempfile.TemporaryDirectory() as folder:
        for name, launcher in (('one', ()), ('two', TORCHRUN)):
            found = figures[name] = {}
            for images in sizes:
                row = found[images] = measured(images, launcher, Path(folder))
                shown = ' | '.join(f'{row[stage]:.1f} s' for stage in ('in all', *STAGES))
                print(f'| {images:,}, {name} | {shown} | {row["peak_mib"]:.0f} |', flush=True)
            if len(found) > 1:
                million = [
                    reckoned([*found], [row[stage] for row in found.values()], MILLION, grows_with)
                    for stage, grows_with in STAGES.items()
                ]
                shown = ' | '.join(f'{seconds / 3600:.1f} h' for seconds in million)
                print(f'| {MILLION:,}, {name}, reckoned | | {shown} | |', flush=True)
    if picture:
        plot(figures).save(picture)
    return figures


def plot(figures: Mapping[str, Mapping[int, Mapping[str, float]]]):
    """Seconds of each stage, and the peak of memory, over the number of crops, both axes logarithmic."""
    figure = new_figure(3.2)
    seconds, memory = figure.subplots(1, 2)
    for name, style in zip(figures, ('-', '--')):
        sizes = [*figures[name]]
        for colour, stage in enumerate(STAGES):
            values = [max(row[stage], 0.01) for row in figures[name].values()]
            seconds.plot(sizes, values, style, color=f'C{colour}', marker='o', label=f'{stage}, {name}')
        peaks = [row['peak_mib'] for row in figures[name].values()]
        memory.plot(sizes, peaks, style, color='C3', marker='o', label=name)
    seconds.set_ylabel('seconds of an epoch')
    memory.set_ylabel('peak of a process, MiB')
    for axes in (seconds, memory):
        axes.set_xlabel('crops')
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.legend(fontsize=7, title='processes', title_fontsize=7)
        tidy(axes)
    return as_image(figure)
