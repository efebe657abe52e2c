"""Writes a trained descriptor as one file that runs without this project, and checks it against torch."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..runtime.errors import UserError, printable
from . import command

if TYPE_CHECKING:
    from ..deploy.export import Exported

DESCRIPTION = """\
Writes the descriptor of a trained model as one file, reads it back by its own runtime and compares it with torch.

The name's end is the format: .onnx; .pt2 for torch.export.load; .torchscript for torch.jit.load, which runs on
CPUs and is deprecated by torch in favour of .pt2. They take float32 images (batch, 3, height, width), any number of
them, and give float32 descriptors of length 1, whose dot product is the cosine; mean, std, size and more are in the
file as a JSON text named paul.

Trackers that feed RGB crops from 0 to 1, such as ultralytics' and NvDeepSORT, need --input unit. ncnn (by pnnx), Core
ML and OpenCV's classic engine need --batch 1.

.safetensors holds the weights alone, to be given to others, who open it as a checkpoint: no memory bank, whose rows
describe people, no classifier and no optimizer."""

EXAMPLE = """\
log/paul_synthetic model.onnx
log/paul_synthetic model.pt2 --half --dim 256
log/paul_folder gate.onnx --camera gate
log/paul_folder tracker.onnx --input unit --batch 1
log/paul_synthetic weights.safetensors"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    command.add_trained(parser)
    parser.add_argument('target', metavar='TARGET', help='the file to write')
    parser.add_argument(
        '--half', action='store_true', help='weights in float16 (.pt2 and .torchscript are slow to check on a CPU)'
    )
    parser.add_argument(
        '--dim', type=command.at_least(1), help='numbers of a descriptor, by PCA of the memory bank (default: all)'
    )
    parser.add_argument(
        '--batch', type=command.at_least(1), help='a fixed number of images, which some runtimes need (default: any)'
    )
    parser.add_argument(
        '--input',
        choices=('normalised', 'unit'),
        default='normalised',
        help='what the file takes: RGB from 0 to 1, minus mean, divided by std; or from 0 to 1, and it does the rest '
        '(default: normalised)',
    )
    parser.add_argument(
        '--opset', type=int, help="opset of .onnx, at least 18 (default: the one that torch's exporter takes)"
    )
    parser.add_argument(
        '--camera',
        metavar='NAME',
        help="a file for this camera's crops: takes the mean descriptor of the camera's training images off them; "
        "compare with those of the other cameras' files. test.centre_cameras measures what that gives",
    )
    parser.add_argument('--force', action='store_true', help='write over TARGET')
    return parser.parse_args(argv)


def report(done: 'Exported') -> str:
    """What was exported, and how it compares with torch."""
    import torch

    from ..deploy.export import sidecar_of

    shape = done.metadata
    batch, given = shape['batch'] or 'batch', '' if any(shape['mean']) else ' from 0 to 1'
    lines = [
        f'{printable(done.path)}: images ({batch}, 3, {shape["height"]}, {shape["width"]}){given} -> '
        f'descriptors ({batch}, {shape["dimension"]}){", half precision" if shape["half"] else ""}'
        f'{", of camera " + shape["camera"] if "camera" in shape else ""}',
        f'against torch: lowest cosine {done.cosine:.7f}, largest difference {done.difference:.2g}',
        f'on this CPU, {torch.get_num_threads()} threads:',
    ]
    names = 'torch, float32', printable(done.path.name)
    for name, size, rate in zip(names, done.megabytes, done.rates, strict=True):
        lines.append(f'  {name:20} {size:8.1f} MB {rate:8.1f} images/s')
    if done.path.suffix == '.torchscript':
        lines.append(f'beside it, the size for boxmot: {printable(sidecar_of(done.path).name)}')
    return '\n'.join(lines)


def run(arguments: argparse.Namespace) -> None:
    """Writes the file that the arguments ask for, and prints how it compares with torch."""
    from ..checkpoints.safetensors_file import SUFFIX
    from ..deploy.export import export
    from ..deploy.one_camera import for_camera
    from ..deploy.pca import cost_of, reduce_dimension
    from ..deploy.sharing import export_weights

    if arguments.target.endswith(SUFFIX):
        refused = [name for name in ('half', 'dim', 'opset', 'camera', 'batch') if getattr(arguments, name)]
        refused += ['input unit'] * (arguments.input == 'unit')
        if refused:
            raise UserError(f'--{refused[0]} is not for {printable(arguments.target)}, which holds weights as they are')
        shared = export_weights(command.trained_of(arguments), arguments.target, arguments.force)
        print(
            f'{printable(shared.path)}: {shared.count} tensors, {shared.megabytes:.1f} MB, read back equal to the bit; '
            'without memory bank, classifier and optimizer'
        )
        return
    trained = command.trained_of(arguments)
    if arguments.dim is not None:
        trained = reduced = reduce_dimension(trained, arguments.dim)
    if arguments.camera is not None:
        trained = for_camera(trained, arguments.camera)
    options = {name: getattr(arguments, name) for name in ('half', 'force', 'batch', 'opset')}
    done = export(trained, arguments.target, unit_input=arguments.input == 'unit', **options)
    print(report(done))
    if arguments.dim is not None:
        print(cost_of(reduced))
