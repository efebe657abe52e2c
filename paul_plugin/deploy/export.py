"""A trained model's descriptor as one file that runs without this project: ONNX, torch.export or TorchScript."""

import contextlib
import copy
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.synthetic.cameras import render_image
from ..method.patchnet import HEADS
from ..method.unit import UnitLength
from ..run.trained import Trained
from ..runtime.errors import UserError, import_optional, is_out_of_memory, printable, reason
from ..runtime.files import whole_file
from ..runtime.safetensors_file import SUFFIX
from ..runtime.targets import check_targets
from .half import HalfPatchNet
from .one_camera import OneCamera

THRESHOLD = 0.9999  # least cosine of a descriptor to the one that torch gives in float32
BATCHES = (1, 2, 5)  # images of the batches that are compared
LEAST_OPSET = 18  # that torch's exporter gives without converting down, which fails for many networks
SECONDS = 2.0  # that the images per second are measured for
Describe = Callable[[Tensor], Tensor]  # (B, 3, H, W) -> (B, E)


def _any_batch() -> tuple[dict]:
    return ({0: torch.export.Dim('batch')},)


def write_onnx(network: nn.Module, images: Tensor, metadata: str, file: BinaryIO, opset: int | None = None) -> None:
    """Writes it in this opset, or in the one that the installed exporter takes by itself."""
    program = torch.onnx.export(
        network,
        (images,),
        dynamic_shapes=_any_batch(),
        dynamo=True,
        input_names=['images'],
        output_names=['descriptors'],
        verbose=False,
        opset_version=opset,
    )
    model = program.model_proto
    found = next(part.version for part in model.opset_import if not part.domain)
    if opset not in (None, found):  # the exporter only warns where it cannot convert
        raise UserError(f'--opset {opset}: the installed exporter gives {found} for this network: name that, or none')
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField('metadata_props')  # where each comes from in torch: as long as the weights of a small model
    model.metadata_props.add(key='metadata', value=metadata)
    file.write(model.SerializeToString())  # one file, up to 2 GB


def read_onnx(file: Path | bytes) -> tuple[Describe, str]:
    """The network of a file, or of its bytes, in onnxruntime with torch's number of threads; its metadata."""
    onnxruntime = import_optional('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    source = file if isinstance(file, bytes) else str(file)
    session = onnxruntime.InferenceSession(source, options, providers=['CPUExecutionProvider'])

    def describe(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(['descriptors'], {'images': images.numpy()})[0])

    return describe, session.get_modelmeta().custom_metadata_map['metadata']


def _write_program(network: nn.Module, images: Tensor, metadata: str, file: BinaryIO) -> None:
    program = torch.export.export(network, (images,), dynamic_shapes=_any_batch())
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop('stack_trace', None)  # names this machine's folders
    whole = (
        io.BytesIO()
    )  # torch's own writer ends the process (SIGABRT) where a file cannot be written, as on a full disk
    torch.export.save(program, whole, extra_files={'metadata': metadata})
    file.write(whole.getbuffer())


def _read_program(path: Path) -> tuple[Describe, str]:
    extra = {'metadata': ''}
    with open(path, 'rb') as file:
        program = torch.export.load(file, extra_files=extra)
    return program.module(), extra['metadata']


def _write_torchscript(network: nn.Module, images: Tensor, metadata: str, file: BinaryIO) -> None:
    traced = torch.jit.freeze(torch.jit.trace(network, images, check_trace=False))  # `export` checks more
    torch.jit.save(traced, file, _extra_files={'metadata': metadata})


def _read_torchscript(path: Path) -> tuple[Describe, str]:
    extra = {'metadata': ''}
    network = torch.jit.load(path, _extra_files=extra)
    text = extra['metadata']
    return network, text if isinstance(text, str) else text.decode()


class Format(NamedTuple):
    """One format of a file.

    Attributes:
        write: (network, images that it is shown, metadata, file) -> None; ONNX's takes an opset too.
        read: path -> the network in the format's own runtime, metadata.
        packages: what it needs beside torch.
    """

    write: Callable[..., None]
    read: Callable[[Path], tuple[Describe, str]]
    packages: tuple[str, ...] = ()


FORMATS = {
    '.onnx': Format(write_onnx, read_onnx, ('onnx', 'onnxscript', 'onnxruntime')),
    '.pt2': Format(_write_program, _read_program),
    '.pt': Format(_write_torchscript, _read_torchscript),
    '.torchscript': Format(_write_torchscript, _read_torchscript),  # what trackers such as boxmot call it
}


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
    batch: int = 16,
    opset: int | None = None,
) -> Exported:
    """Writes the descriptor of a trained model in the format that the file's name ends in, and checks it.

    The network in the file takes `images` (batch, 3, height, width), float32, normalised as torchreid does, any number
    of them, and gives `descriptors` (batch, E), float32, of length 1. Beside the weights the file holds, as a JSON text
    under the name `metadata`, what `describe_export` returns. It is read back by the format's own runtime and gets its
    name only if the descriptors of random and of rendered images, in batches of several sizes, are those of torch.

    Args:
        trained: the model; it stays as it is.
        path: ends in `.onnx`, in `.pt2` (for `torch.export.load`), or in `.pt` or `.torchscript` (TorchScript, for
            `torch.jit.load` and CPUs only, since a trace keeps the device).
        half: weights in float16, and what is computed with them.
        force: write over a file.
        batch: images of a batch when the images per second are measured.
        opset: of ONNX, at least `LEAST_OPSET`; None for the one that the installed exporter takes by itself.

    Raises:
        UserError: in one line, and no file is written: if a package is missing, the format cannot hold the network,
            or a descriptor has a cosine below `THRESHOLD` to the one that torch gives in float32.

    Example:
        >>> export(open_trained('log/paul_synthetic'), 'model.onnx').cosine
        0.9999998807907104
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise UserError(
            f'{printable(path)} must end in one of {", ".join(FORMATS)}, which names the format, or in {SUFFIX}, for '
            'the weights alone'
        )
    _check_opset(path, opset)
    check_targets([path], force, inputs=[trained.path])
    for package in FORMATS[path.suffix].packages:
        import_optional(package)
    network = portable(trained.model)
    images = sample_images(trained)
    metadata = describe_export(trained, half)
    options = {} if opset is None else {'opset': opset}
    describe, cosine, difference = _write_checked(path, network, half, images, metadata, options)
    sizes = sum(tensor.nbytes for tensor in network.state_dict().values()), path.stat().st_size
    timed = images[torch.arange(batch) % len(images)]
    rates = images_per_second(network, timed), images_per_second(describe, timed)
    return Exported(path, metadata, cosine, difference, tuple(size / 1e6 for size in sizes), rates)


def _write_checked(
    path: Path, network: nn.Module, half: bool, images: Tensor, metadata: dict, options: dict
) -> tuple[Describe, float, float]:
    """Writes the file, whole and as the network is; returns the file's network and what `compare` gives."""
    form = FORMATS[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file, _refused_in_one_line(path), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of deprecation, and of what a trace does not record
        form.write(_halved(network) if half else network, images[:2].clone(), json.dumps(metadata), file, **options)
        file.flush()
        describe, text = form.read(Path(file.name))
        cosine, difference = compare(describe, network, images)
        if json.loads(text) != metadata:
            raise UserError(
                f'no file was written to {printable(path)}: its metadata are not read back as they were written'
            )
        if not cosine >= THRESHOLD:
            raise UserError(
                f'no file was written to {printable(path)}: its descriptors are not those of torch, the lowest cosine '
                f'is {cosine:.6f}, not {THRESHOLD}{"; leave --half out" if half else ""}'
            )
    return describe, cosine, difference


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


def describe_export(trained: Trained, half: bool = False) -> dict:
    """What an exported file tells about itself: how to feed it, what it gives, where it comes from."""
    data = trained.cfg.data
    return {
        'model': trained.cfg.model.name,
        'input': 'RGB crops resized to height x width (bilinear, antialiased), from 0 to 1, minus mean, divided by std',
        'height': data.height,
        'width': data.width,
        'mean': list(data.norm_mean),
        'std': list(data.norm_std),
        'dimension': trained.model.feature_dim,
        'length': 1,
        'dist_metric': trained.cfg.test.dist_metric,
        'half': half,
        **({'stretch': 'grey of 16 bits from the 1st to the 99th percentile of its pixels'} if data.stretch else {}),
        'trained_with': trained.checkpoint.get('software', {}),
        **({'camera': trained.model.camera} if isinstance(trained.model, OneCamera) else {}),
    }


def sample_images(trained: Trained) -> Tensor:
    """What an export is compared on: five images of random pixels and five rendered people, (10, 3, H, W)."""
    rng = np.random.default_rng(0)
    data = trained.cfg.data
    random = [Image.fromarray(rng.integers(0, 256, (data.height, data.width, 3), np.uint8)) for _ in range(5)]
    rendered = [render_image('target', 0, pid, camera=pid, index=0) for pid in range(1, 6)]
    return torch.stack([trained.transform()(image) for image in random + rendered])


def compare(describe: Describe, network: Describe, images: Tensor) -> tuple[float, float]:
    """The lowest cosine of two networks' descriptors of an image, and the largest difference of their numbers.

    Args:
        images: of which batches of `BATCHES` images each are made, from the first and from the last ones.
    """
    cosines, differences = [], []
    for batch in [part for size in BATCHES for part in (images[:size], images[-size:])]:
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


def portable(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode, of what the descriptor needs, which has length 1 in the end."""
    network = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    patchnet = network
    while isinstance(patchnet, nn.Sequential):  # a reduction, or a camera's mean, comes after it
        patchnet = patchnet[0]
    for head in HEADS:
        setattr(patchnet, head, nn.ModuleList())
    return network if isinstance(network, nn.Sequential) else nn.Sequential(network, UnitLength()).eval()


def _halved(network: nn.Module) -> nn.Module:
    if isinstance(network, nn.Sequential):
        return nn.Sequential(_halved(network[0]), *list(network)[1:]).eval()
    return HalfPatchNet(network)


@contextlib.contextmanager
def _refused_in_one_line(path: Path) -> Iterator[None]:
    """Exporters and runtimes fail in many ways at a network that they do not take."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f'cannot write {printable(path)}: {error.strerror or error}') from None
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UserError(
            f'no file was written to {printable(path)}: {type(error).__name__}: {reason(error, 300)}'
        ) from None
