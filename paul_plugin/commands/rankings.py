"""The sub-command ranking: queries of a run's test, or any images in any gallery; what is found as files."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import checks
from ..config.settings import with_keys
from ..runtime.errors import UserError, printable
from . import command
from .pictures import add_common, common, opened, save, target

if TYPE_CHECKING:
    from ..deploy.search import Found
    from ..figures.ranked import Ranked
    from ..run.trained import Trained


def ranking(arguments: argparse.Namespace) -> Path | list[Path]:
    """Queries of the target, or any images in any gallery, whose paths are printed."""
    from ..deploy.search import Found
    from ..figures.ranked import draw_labelled
    from ..report.gallery import Pictures

    if bool(arguments.query) != bool(arguments.gallery):
        raise UserError('--query and --gallery go together: the images to look for, and where to look for them')
    if arguments.camera is not None and not (arguments.query and arguments.centre_cameras):
        raise UserError(
            '--camera is that of --query, whose mean --centre-cameras takes off: give both, or leave it out'
        )
    of_gallery = _folders_of(arguments.gallery) if arguments.gallery else []
    trained = opened(
        arguments,
        [*arguments.images, *arguments.query, *of_gallery],
        [*filter(None, (arguments.json, arguments.csv))],
        lambda picture: _pictures(picture, arguments.query),
    )
    if arguments.query:
        return _search(trained, arguments)
    if arguments.centre_cameras:
        trained = trained._replace(cfg=with_keys(trained.cfg, {'test.centre_cameras': True}))
        checks.check_config(trained.cfg)
    options = {'k': arguments.k, 'worst': arguments.worst, 'threshold': arguments.threshold}
    pictures = Pictures(trained, arguments.pixels)
    name, found = pictures.ranked(**common(arguments), **options)
    _write_found([Found(each.query, each.gallery, each.distances, each.known) for each in found], arguments)
    return save(draw_labelled(name, found, arguments.pixels), trained, arguments)


def _search(trained: 'Trained', arguments: argparse.Namespace) -> list[Path]:
    """Any images in any gallery: prints what is found, and draws a picture a query."""
    from ..data.folder import check_folder
    from ..deploy.centred import centring_of
    from ..deploy.descriptor_file import SUFFIXES, folder_of
    from ..deploy.search import model_for, read_gallery, search
    from ..figures.ranked import draw_search
    from ..figures.sheet import save_png

    trained = model_for(trained, arguments.gallery)
    gallery = read_gallery(trained, arguments.gallery)
    centring = None
    if arguments.centre_cameras:
        of_file = Path(arguments.gallery).suffix in SUFFIXES
        top = folder_of(arguments.gallery) if of_file else check_folder(arguments.gallery)
        centring = centring_of(trained, gallery, top, arguments.camera)
    found = search(trained, arguments.query, gallery, arguments.k, centring, arguments.threshold)
    named = captioned(found, gallery[0])
    for each in named:
        print(printable(each.query))
        for caption, path in zip(each.captions, each.gallery):
            print(f'  {caption.splitlines()[0]}  {printable(path)}')
    _write_found(found, arguments)
    written = _pictures(target(trained, arguments), arguments.query)
    for each, path in zip(named, written, strict=True):
        metric = trained.cfg.test.dist_metric
        save_png(draw_search([each], len(gallery[0]), metric, arguments.pixels, arguments.threshold), path)
    return written


def captioned(found: list['Found'], gallery: Sequence[str]) -> list['Ranked']:
    """What a search found, ready to be drawn: files by the shortest names that tell them apart."""
    from ..figures.ranked import Ranked, caption
    from ..runtime.names import short_names

    shown = [path for each in found for path in (each.query, *each.gallery)]
    names = {path: printable(name) for path, name in short_names(shown, among=gallery).items()}
    named_files = []
    for query, files, distances, known in found:
        told = zip(distances, known or [None] * len(files), files)
        captions = [caption(distance, is_known, names[path]) for distance, is_known, path in told]
        named_files.append(Ranked(query, names[query], files, captions, distances=distances, known=known))
    return named_files


def _folders_of(gallery: str) -> list[str]:
    """The gallery, and the folder of the images that a file of descriptors describes."""
    from ..deploy.descriptor_file import SUFFIXES, folder_of

    return [gallery, *filter(None, [folder_of(gallery)])] if Path(gallery).suffix in SUFFIXES else [gallery]


def _pictures(out: Path, queries: Sequence[str]) -> list[Path]:
    """The pictures of a search, one a query; of the queries of a test they are on one."""
    from ..host.visrank import picture_names

    if len(queries) < 2:
        return [out]
    return [out.with_name(f'{out.stem}_{name}{out.suffix}') for name in picture_names(queries)]


def _write_found(found: list['Found'], arguments: argparse.Namespace) -> None:
    from ..deploy.search import as_csv, as_json
    from ..runtime.files import write_atomically

    for path, content in ((arguments.json, as_json), (arguments.csv, as_csv)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(content(found), path)
            print(f'Written to {printable(path)}')


def add_ranking(parser: argparse.ArgumentParser) -> None:
    add_common(parser, "names or numbers of the target's queries")
    parser.add_argument('--k', type=command.at_least(1), default=10, help='gallery images a query (default: 10)')
    parser.add_argument('--worst', action='store_true', help='take the queries of the lowest average precision')
    parser.add_argument(
        '--query', nargs='+', default=[], metavar='FILE', help='any images, to be looked for in --gallery'
    )
    parser.add_argument(
        '--gallery', metavar='FOLDER', help='folder of crops, or a file that paul extract wrote (.npz, .parquet)'
    )
    parser.add_argument(
        '--centre-cameras',
        action='store_true',
        help="take off the mean of each image's camera: of the training images, or, with --gallery, of the gallery",
    )
    parser.add_argument('--camera', metavar='NAME', help="that of --query (default: the mean over the cameras' means)")
    parser.add_argument(
        '--threshold',
        type=command.number,
        metavar='T',
        help='call images at this distance or more unknown; see distances',
    )
    for name in ('json', 'csv'):
        words = 'write query, rank, file, distance and whether it is known, too'
        parser.add_argument(f'--{name}', type=Path, metavar='FILE', help=words)
