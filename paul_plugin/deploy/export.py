"""A trained model's descriptor as one file that runs without this project: ONNX, torch.export or TorchScript."""

import contextlib
import copy
import json
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.safetensors_file import SUFFIX
from ..data.synthetic.cameras import render_image
from ..method.patchnet import HEADS, PatchNet
from ..method.unit import UnitLength
from ..run.trained import Trained
from ..runtime.errors import UserError, import_optional, is_out_of_memory, printable, reason
from ..runtime.files import file_of_user
from ..runtime.targets import check_targets
from .formats import FORMATS, Describe
from .half import HalfPatchNet
from .last_layers import net_and_layers
from .plain import PlainPatchNet, UnitInput

THRESHOLD = 0.9999  # least cosine of a descriptor to the one that torch gives in float32
BATCHES = (1, 2, 5)  # images of the batches that are compared
LEAST_OPSET = 18  # that torch's exporter gives without converting down, which fails for many networks
SECONDS = 2.0  # that the images per second are measured for
TIMED = 16  # images of a batch when the images per second are measured, unless the file takes another number


class Exported(NamedTuple):
    """What was exported, and how it compares with torch in float32 on the CPU.

    Attributes:
        path: the file.
        metadata: what it tells about itself.
        cosine: the lowest of a descriptor to the one of torch.
        difference: the largest of a descriptor's number to the one of torch, absolute.
        megabytes: of the weights in torch, of the file.
        rates: images per second of torch, of the file.
    """

    path: Path
    metadata: dict
    cosine: float
    difference: float
    megabytes: tuple[float, float]
    rates: tuple[float, float]


@torch.no_grad()
def export(
    trained: Trained,
    path: str | Path,
    half: bool = False,
    force: bool = False,
    batch: int | None = None,
    opset: int | None = None,
    unit_input: bool = False,
) -> Exported:
    """Writes the descriptor of a trained model in the format that the file's name ends in, and checks it.

    The network in the file takes `images` (batch, 3, height, width), float32, normalised as torchreid does, any number
    of them, and gives `descriptors` (batch, E), float32, of length 1. Beside the weights the file holds, as a JSON text
    under the name `paul`, what `metadata_of` returns. It is read back by the format's own runtime and gets its
    name only if the descriptors of random and of rendered images, in batches of several sizes, are those of torch.
    TorchScript gets a file beside it (`sidecar_of`), by which boxmot knows its size.

    Args:
        trained: the model; it stays as it is.
        path: ends in `.onnx`, in `.pt2` (for `torch.export.load`), or in `.torchscript` (for `torch.jit.load` and CPUs
            only, since a trace keeps the device).
        half: weights in float16, and what is computed with them.
        force: write over a file.
        batch: images of every batch, which some runtimes must know; None for any number.
        opset: of ONNX, at least `LEAST_OPSET`; None for the one that the installed exporter takes by itself.
        unit_input: the file takes images from 0 to 1, and normalises them itself.

    Raises:
        UserError: in one line, and no file is written: if a package is missing, the format cannot hold the network,
            or a descriptor has a cosine below `THRESHOLD` to the one that torch gives in float32.

    Example:
        >>> export(open_trained('log/paul_synthetic'), 'model.onnx').cosine
        0.9999998807907104
    """
    path = Path(path)
    _check(path, force, opset, trained)
    network, images = portable(trained.model), sample_images(trained)
    written = plain(network, images)
    if half:
        written = nn.Sequential(HalfPatchNet(written[0]), *written[1:]).eval()
    if unit_input:
        norm = UnitInput(trained.cfg.data.norm_mean, trained.cfg.data.norm_std)
        images = images * norm.std + norm.mean
        network, written = (nn.Sequential(norm, part).eval() for part in (network, written))
    metadata = metadata_of(trained, half, batch, unit_input)
    options = {'fixed': batch is not None, **({} if opset is None else {'opset': opset})}
    describe, cosine, difference = _write_checked(path, network, written, images, metadata, options)
    if path.suffix == '.torchscript':
        _write_sidecar(sidecar_of(path), metadata)
    sizes = sum(tensor.nbytes for tensor in network.state_dict().values()), path.stat().st_size
    timed = batch_of(images, batch or TIMED)
    rates = images_per_second(network, timed), images_per_second(describe, timed)
    return Exported(path, metadata, cosine, difference, tuple(size / 1e6 for size in sizes), rates)


def sidecar_of(path: Path) -> Path:
    """The file beside a TorchScript one that boxmot (25.0.0) reads; without it, it feeds images of 256x128."""
    return path.with_name(f'{path.name}.metadata.json')


def _write_sidecar(path: Path, metadata: dict) -> None:
    size = {'img_size': [metadata['height'], metadata['width']]}
    content = {'schema_version': 1, 'model_kwargs_schema_version': 1, 'model_kwargs': size, 'preprocess': 'resize'}
    with file_of_user(path) as file:
        file.write(json.dumps(content).encode())


def batch_of(images: Tensor, size: int) -> Tensor:
    """So many of them, from the first on and over again."""
    return images[torch.arange(size) % len(images)]


def _write_checked(
    path: Path, network: nn.Module, written: nn.Module, images: Tensor, metadata: dict, options: dict
) -> tuple[Describe, float, float]:
    """Writes the file, whole and as `written` is; returns the file's network and what `compare` gives."""
    form, batch = FORMATS[path.suffix], metadata['batch']
    with file_of_user(path) as file, _refused_in_one_line(path), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of deprecation, and of what a trace does not record
        form.write(written, batch_of(images, batch or 2), json.dumps(metadata), file, **options)
        file.flush()
        describe, text = form.read(Path(file.name))
        cosine, difference = compare(describe, network, images, BATCHES if batch is None else (batch,))
        if json.loads(text) != metadata:
            raise UserError(
                f'no file was written to {printable(path)}: its metadata are not read back as they were written'
            )
        if not cosine >= THRESHOLD:
            advice = '; leave --half out' if metadata['half'] else ''
            raise UserError(
                f'no file was written to {printable(path)}: its descriptors are not those of torch, the lowest cosine '
                f'is {cosine:.6f}, not {THRESHOLD}{advice}'
            )
    return describe, cosine, difference


def _check(path: Path, force: bool, opset: int | None, trained: Trained) -> None:
    """Refuses what cannot be written, before any work."""
    _check_name(path)
    _check_opset(path, opset)
    targets = [path, sidecar_of(path)] if path.suffix == '.torchscript' else [path]
    check_targets(targets, force, inputs=[trained.path])
    for package in FORMATS[path.suffix].packages:
        import_optional(package)


def _check_name(path: Path) -> None:
    if path.suffix in FORMATS:
        return
    if path.suffix == '.pt':
        raise UserError(
            f'{printable(path)}: TorchScript ends in .torchscript here, as trackers take .pt for weights: name it '
            f'{printable(path.with_suffix(".torchscript").name)}'
        )
    raise UserError(
        f'{printable(path)} must end in one of {", ".join(FORMATS)}, which names the format, or in {SUFFIX}, for '
        'the weights alone'
    )


def _check_opset(path: Path, opset: int | None) -> None:
    if opset is None:
        return
    if path.suffix != '.onnx':
        raise UserError(f'--opset {opset}: {printable(path)} has none: leave it out, or name a file that ends in .onnx')
    if opset < LEAST_OPSET:
        raise UserError(f'--opset {opset}: must be at least {LEAST_OPSET}, the least that the exporter writes')
    most = import_optional('onnx').defs.onnx_opset_version()
    if opset > most:
        raise UserError(f'--opset {opset}: must be at most {most}, the newest that the installed onnx knows')


def metadata_of(
    trained: Trained, half: bool = False, batch: int | None = None, unit_input: bool = False
) -> dict:
    """What an exported file tells about itself: how to feed it, what it gives, where it comes from.

    Args:
        half, batch, unit_input: as `export` takes them. A file that normalises images itself has the mean 0 and the
            deviation 1, which change nothing.
    """
    data = trained.cfg.data
    mean, std = ([0.0] * 3, [1.0] * 3) if unit_input else (list(data.norm_mean), list(data.norm_std))
    then = '' if unit_input else ', minus mean, divided by std'
    return {
        'model': trained.cfg.model.name,
        'input': f'RGB crops resized to height x width (bilinear, antialiased), from 0 to 1{then}',
        'batch': batch,
        'height': data.height,
        'width': data.width,
        'mean': mean,
        'std': std,
        'dimension': trained.model.feature_dim,
        'length': 1,
        'dist_metric': trained.cfg.test.dist_metric,
        'half': half,
        **({'stretch': 'grey of 16 bits from the 1st to the 99th percentile of its pixels'} if data.stretch else {}),
        'trained_with': trained.checkpoint.get('software', {}),
        **({'camera': camera} if (camera := getattr(trained.model, 'camera', '')) else {}),
    }


def sample_images(trained: Trained) -> Tensor:
    """What an export is compared on: five images of random pixels and five rendered people, (10, 3, H, W)."""
    rng = np.random.default_rng(0)
    data = trained.cfg.data
    random = [Image.fromarray(rng.integers(0, 256, (data.height, data.width, 3), np.uint8)) for _ in range(5)]
    rendered = [render_image('target', 0, pid, camera=pid, index=0) for pid in range(1, 6)]
    return torch.stack([trained.transform()(image) for image in random + rendered])


def compare(
    describe: Describe, network: Describe, images: Tensor, sizes: Sequence[int] = BATCHES
) -> tuple[float, float]:
    """The lowest cosine of two networks' descriptors of an image, and the largest difference of their numbers.

    Args:
        images: of which batches of each of these sizes are made, from the first one on and, backwards, from the last.
    """
    cosines, differences = [], []
    for batch in [batch_of(part, size) for size in sizes for part in (images, images.flip(0))]:
        ours, theirs = (f(batch).double() for f in (describe, network))
        cosines.append(F.cosine_similarity(ours, theirs).min())
        differences.append((ours - theirs).abs().max())
    return torch.stack(cosines).min().item(), torch.stack(differences).max().item()


@torch.no_grad()
def images_per_second(describe: Describe, images: Tensor) -> float:
    """Images per second by the median batch of `SECONDS`; the first one counts only if there is no other."""
    times = []
    while not times or sum(times) < SECONDS:
        start = time.perf_counter()
        describe(images)
        times.append(time.perf_counter() - start)
    return len(images) / statistics.median(times[1:] or times)


def portable(model: nn.Module) -> nn.Sequential:
    """A copy on the CPU, in eval mode, of what the descriptor needs, which has length 1 in the end."""
    net, layers = net_and_layers(copy.deepcopy(model).cpu().eval().requires_grad_(False))
    for head in HEADS:
        setattr(net, head, nn.ModuleList())
    return nn.Sequential(net, *(layers or [UnitLength()])).eval()


def plain(network: nn.Sequential, images: Tensor) -> nn.Sequential:
    """What `portable` gives, of operators that many runtimes read; it shares the weights.

    Args:
        images: of the size that it is for, (B, 3, H, W).
    """
    net, *layers = network
    return nn.Sequential(PlainPatchNet(net, images) if isinstance(net, PatchNet) else net, *layers).eval()


@contextlib.contextmanager
def _refused_in_one_line(path: Path) -> Iterator[None]:
    """Exporters and runtimes fail in many ways at a network that they do not take."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UserError(
            f'no file was written to {printable(path)}: {type(error).__name__}: {reason(error, 300)}'
        ) from None
