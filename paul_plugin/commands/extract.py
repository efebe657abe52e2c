"""Describes every image of a folder and writes the descriptors into one file; killed, the same command goes on."""

import argparse
from collections.abc import Sequence

from ..runtime.choices import RUNTIMES
from ..runtime.errors import printable
from . import command

DESCRIPTION = """\
Describes every image of a folder, at any depth, and writes paths and descriptors into one file, .npz or .parquet. A
descriptor has length 1: the dot product of two is their cosine.

What is done is kept in TARGET.parts until the file is whole: after a kill the same command goes on. Files that are no
images, or cannot be read, are left out and listed."""

EXAMPLE = """\
log/paul_synthetic crops descriptors.npz
log/paul_market crops descriptors.parquet --dim 256 --workers 4
log/paul_market crops centred.npz --centre-cameras --opts folder.camera '(cam[0-9]+)'"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    command.add_trained(parser)
    parser.add_argument('folder', metavar='FOLDER', help='folder of the images')
    parser.add_argument('target', metavar='TARGET', help='the file to write, .npz or .parquet')
    parser.add_argument(
        '--dim', type=command.at_least(1), help='numbers of a descriptor, by PCA of the memory bank (default: all)'
    )
    parser.add_argument('--no-test', action='store_true', help='with --dim, do not measure the mAP that it costs')
    parser.add_argument(
        '--centre-cameras',
        action='store_true',
        help='take off each descriptor the mean of its camera in FOLDER, told by folder.camera or _c in the names',
    )
    parser.add_argument(
        '--runtime',
        choices=RUNTIMES,
        default='auto',
        help='what computes the descriptors, the same to 1e-5; auto: onnx on a CPU, where onnxruntime is installed and '
        'the images are 4096 or more, torch else',
    )
    parser.add_argument('--batch-size', type=command.at_least(1), default=64, help='images at a time (default: 64)')
    parser.add_argument(
        '--workers', type=command.at_least(0), default=2, help='processes that read images (default: 2)'
    )
    parser.add_argument('--force', action='store_true', help='write over TARGET; begin anew where TARGET.parts differs')
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Writes the file of descriptors that the arguments ask for."""
    from ..data.images import bad_in_words
    from ..deploy.extraction import extract
    from ..deploy.pca import cost_of, reduce_dimension

    trained = command.trained_of(arguments)
    if arguments.dim is not None:
        trained = reduce_dimension(trained, arguments.dim)
    options = {
        name: getattr(arguments, name) for name in ('batch_size', 'workers', 'force', 'centre_cameras', 'runtime')
    }
    done = extract(trained, arguments.folder, arguments.target, **options)
    print(f'{printable(done.path)}: {done.count} descriptors of {trained.model.feature_dim} numbers')
    if done.runtime == 'onnx':
        print('described by onnxruntime, as torch does to 1e-5')
    if done.cameras:
        print(f'without the mean of their camera, {done.cameras} cameras')
    if done.left_out:
        print(f'{len(done.left_out)} files were left out:\n{bad_in_words(done.left_out)}')
    if arguments.dim is not None and not arguments.no_test:
        print(cost_of(trained))
