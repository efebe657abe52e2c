"""The data of a run: rendered if the config names synthetic ones, read by torchreid, and looked at before it starts."""

import contextlib
import functools
from collections.abc import Container, Iterator
from pathlib import Path

import torchreid
from tqdm import tqdm
from yacs.config import CfgNode

from ..config import arguments
from ..data.folder import NAME, FolderDataset, check_folder, read_crops
from ..data.ids import camera_name, person_name
from ..data.images import bad_in_words, check_images, stretched
from ..data.labels import JUNK, without_match
from ..data.synthetic.datasets import SYNTHETIC
from ..data.synthetic.render import already_rendered, manifest_of, render
from ..host.data import (
    DataManager,
    begin_transforms,
    check_dataset,
    check_root,
    dataset_made_by,
    items_of,
    leave_out,
    leave_out_untestable,
    transform_made_by,
)
from ..host.unreadable import is_of_torchreid, passed_over, why_unreadable
from ..host.untrained import training_images_optional
from ..method.surrogate import PairTransform, SurrogatePositive
from ..registry import SURROGATE
from ..runtime import stopping
from ..runtime.errors import UserError, is_out_of_memory, printable, raise_together


def _rendered_sets(cfg: CfgNode) -> Iterator[tuple[str, Path, tuple]]:
    """The synthetic data sets that the config names: name, folder, and what decides their images."""
    options = cfg.paul.synthetic
    seed = cfg.train.seed if options.seed < 0 else options.seed
    counts = (options.train_ids, options.test_ids, options.images_per_id)
    for name in sorted({*cfg.data.sources, *cfg.data.targets} & set(SYNTHETIC)):
        yield name, Path(cfg.data.root, name), (SYNTHETIC[name], seed, *counts)


def to_render(cfg: CfgNode) -> list[str]:
    """The synthetic data sets that the config names and that are not rendered yet.

    Raises:
        UserError: if the folder of one holds something else.
    """
    try:
        return [name for name, folder, what in _rendered_sets(cfg) if not already_rendered(folder, manifest_of(*what))]
    except (FileExistsError, ValueError) as error:
        raise UserError(str(error)) from None


def render_data(cfg: CfgNode) -> None:
    """Renders the synthetic data sets that the config names, where they are not there yet.

    Raises:
        UserError: if the folder holds something else.
    """
    for name, folder, what in _rendered_sets(cfg):
        with tqdm(desc=f'Rendering {name}', unit=' images', mininterval=1) as bar:

            def show(done: int, total: int, bar=bar) -> None:
                bar.total = total
                bar.update(done - bar.n)
                stopping.check()

            try:
                render(folder, *what, progress=show)
            except (FileExistsError, ValueError) as error:
                raise UserError(str(error)) from None


def root_of(cfg: CfgNode, name: str) -> str:
    """The folder that a data set is looked for in; for the data set `folder`, itself."""
    return (name == NAME and cfg.folder.path) or cfg.data.root


def check_datasets(cfg: CfgNode, made: Container[str] = ()) -> None:
    """Refuses data sets that are unknown or not there.

    Args:
        cfg: the config.
        made: those that are made if they are not there.

    Raises:
        UserError: naming the nearest data set, the folder that is expected, or what would be misread in its path.
    """
    for name in [*cfg.data.sources, *cfg.data.targets]:
        if name == NAME:
            check_folder(root_of(cfg, name))
            continue
        if name not in made:
            check_dataset(name, cfg.data.root, cfg.data.type)
        check_root(name, cfg.data.root, cfg.data.type)


def build_datamanager(cfg: CfgNode) -> DataManager:
    """torchreid's data manager; surrogates are drawn by `cfg.paul.surrogate`.

    A target without images to test on is left out of the test.

    Raises:
        UserError: if torchreid cannot read the data sets' folders.
    """
    surrogate = SurrogatePositive(**cfg.paul.surrogate)
    # Read once for the three data sets that a data manager makes of a name.
    options = {'outputs': (cfg.data.save_dir,), 'k': cfg.paul.k, 'stretch': cfg.data.stretch}
    read = functools.cache(functools.partial(read_crops, **options))
    # What a test takes from cameras is told by training images, which stand-ins do not tell.
    test_only = cfg.test.evaluate and not (cfg.test.centre_cameras or cfg.test.camera_norms)
    crops = functools.partial(FolderDataset, **cfg.folder, read=read, test_only=test_only)
    try:
        with (
            dataset_made_by(NAME, crops),
            transform_made_by(SURROGATE, lambda *stages: PairTransform(*stages, surrogate)),
            training_images_optional() if test_only else contextlib.nullcontext(),
        ):
            if cfg.data.type == 'video':
                datamanager = torchreid.data.VideoDataManager(**arguments.videodata_kwargs(cfg))
            else:
                datamanager = torchreid.data.ImageDataManager(**arguments.imagedata_kwargs(cfg))
    except Exception as error:  # a folder with other content than expected fails in many ways inside torchreid
        if isinstance(error, UserError) or is_out_of_memory(error) or not is_of_torchreid(error):
            raise
        names = ', '.join(dict.fromkeys([*cfg.data.sources, *cfg.data.targets]))
        raise UserError(
            f'torchreid cannot read the data of {names} in {printable(cfg.data.root)} ({why_unreadable(error)}): '
            'compare the folders and file names with the layout that it expects, or train.batch_size and the settings '
            'under sampler with the numbers of images, cameras and data sets'
        ) from None
    leave_out_untestable(datamanager)
    if cfg.data.stretch:
        begin_transforms(datamanager, stretched)
    return datamanager


def check_data(cfg: CfgNode, datamanager: DataManager) -> dict[str, str]:
    """Looks at every image before the run starts; with `data.bad_images skip`, leaves the bad ones out of training.

    Returns:
        What was left out: path -> reason.

    Raises:
        UserError: for bad images, in query and gallery whatever `data.bad_images` is, if too few are left, or for a
            target of which no query has a true match.
    """
    check_matches(datamanager)
    skip = cfg.data.bad_images == 'skip'
    errors, left_out = [], {}
    if NAME not in (*cfg.data.sources, *cfg.data.targets) and cfg.data.type == 'image':
        unread = passed_over(item[0] for items in items_of(datamanager).values() for item in items)
        if unread:
            found = ', '.join(f'{count} {suffix}' for suffix, count in sorted(unread.items()))
            print(f'warning: {found} beside the images are not read by torchreid; the data set {NAME} reads them')
    for part, items in items_of(datamanager).items():
        paths = [path for item in items for path in ([item[0]] if isinstance(item[0], str) else item[0])]
        bad = check_images(paths, decode=skip and part == 'train')
        if bad and skip and part == 'train':
            left_out = bad
        elif bad:
            way_out = 'data.bad_images skip leaves them out' if part == 'train' else 'replace them or take them out'
            errors += [f'{len(bad)} of {len(paths)} {part} images cannot be read: {way_out}', bad_in_words(bad)]
    raise_together(errors)
    if left_out:
        if len(left_out) == len(datamanager.train_loader.dataset):
            raise UserError(f'not one training image can be read\n{bad_in_words(left_out)}')
        leave_out(
            datamanager,
            left_out,
            train_sampler=cfg.sampler.train_sampler,
            **{name: cfg.sampler[name] for name in ('num_instances', 'num_cams', 'num_datasets')},
        )
        show_left_out(left_out)
    if cfg.test.evaluate and not datamanager.test_loader:
        raise UserError(
            f'test.evaluate = True: {", ".join(cfg.data.targets)} has no images to test on: give the folder '
            'sub-folders query and gallery, or name a CSV file path,pid,camid by folder.labels'
        )
    if len(datamanager.train_loader) == 0 and cfg.train.max_epoch > 0 and not cfg.test.evaluate:
        count, least = len(datamanager.train_loader.dataset), cfg.paul.r + 2 if cfg.loss.name == 'paul' else 2
        way_out = 'lower it' if count >= least else f'add images, a batch has at least {least}'
        raise UserError(
            f'{count} training images do not make one batch of train.batch_size {cfg.train.batch_size}: {way_out}'
        )
    return left_out


def show_left_out(left_out: dict[str, str]) -> None:
    if left_out:
        print(f'{len(left_out)} training images were left out (data.bad_images skip):\n{bad_in_words(left_out)}')


def check_matches(datamanager: DataManager) -> None:
    """Says how many queries of each target do not count in a test.

    Raises:
        UserError: for a target of which none counts, at which torchreid's test would fail after all training.
    """
    for name, parts in datamanager.test_loader.items():
        dataset = parts['query'].dataset
        query, gallery = (
            [item for item in parts[part].dataset.data if str(item[1]) != JUNK] for part in ('query', 'gallery')
        )
        alone = without_match(query, gallery)
        if len(alone) == len(query):
            read = ''
            for path, pid, camid, *_ in alone[:1]:
                path = path if isinstance(path, str) else path[0]
                who, where = person_name(dataset, pid), camera_name(dataset, camid)
                read = f' ({printable(path)}: person {who}, camera {where})'
            raise UserError(
                f'{name}: none of {len(query)} queries has a true match, an image of the same person from another '
                f'camera, in the gallery{read}, so there is nothing to measure: take {name} out of data.targets, '
                f'or, if there is one camera, use the data set {NAME} with sub-folders query/PERSON and gallery/PERSON '
                'of images without _c1 in their names'
            )
        if alone:
            print(f'{name}: {len(alone)} of {len(query)} queries have no true match in another camera and do not count')
