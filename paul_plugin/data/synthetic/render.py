"""Renders a site as a data set in Market-1501's layout, in a folder that appears once it is complete."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...runtime.files import scratch_folder
from .cameras import render_image
from .domains import _PLAN, DOMAINS, MAX_IMAGES_PER_ID, MAX_PID, Domain, _checked, _in_range, _rng

VERSION = 1  # raise it whenever the same parameters give other pixels


class Layout(NamedTuple):
    """Where a benchmark keeps its images and how it names them."""

    inner: str  # the folder inside the data set's folder
    train: str
    query: str
    gallery: str
    name: str
    lists: bool = False  # MSMT17: ids restart at 0 in both halves, and text files say which image is which


LAYOUTS = {
    'market1501': Layout(
        'Market-1501-v15.09.15',
        'bounding_box_train',
        'query',
        'bounding_box_test',
        '{pid:04d}_c{camera}s1_{frame:06d}_{box:02d}.jpg',
    ),
    'dukemtmcreid': Layout(
        'DukeMTMC-reID',
        'bounding_box_train',
        'query',
        'bounding_box_test',
        '{pid:04d}_c{camera}_f{frame:07d}.jpg',
    ),
    'msmt17': Layout(
        'MSMT17_V1',
        'train',
        'test',
        'test',
        '{pid:04d}/{pid:04d}_{index:03d}_{camera:02d}_0303morning_{frame:04d}_0.jpg',
        lists=True,
    ),
}


def _plan(domain: Domain, seed: int, pid: int, images_per_id: int) -> list[int]:
    """The camera of each image of a person: at least two images under each of at least two cameras."""
    rng = _rng(domain, seed, _PLAN, pid)
    low, high = (min(int(n), domain.cameras, images_per_id // 2) for n in domain.appearances)
    seen = rng.permutation(domain.cameras)[: rng.integers(low, high + 1)] + 1
    return sorted(np.resize(seen, images_per_id).tolist())


def _already_rendered(folder: Path, manifest: dict) -> bool:
    """Whether the folder holds just these images; raises FileExistsError if it holds anything else."""
    if not folder.exists():
        return False
    try:
        found = json.loads((folder / 'manifest.json').read_text())
    except (OSError, ValueError):
        found = None
    if found == manifest:
        return True
    if not isinstance(found, dict):
        differs = 'has no readable manifest.json'
    else:
        keys = [key for key in {**found, **manifest} if found.get(key) != manifest.get(key)]
        differs = 'was rendered with other parameters: ' + ', '.join(
            'settings of the domain' if key == 'settings' else f'{key} {found.get(key)} instead of {manifest.get(key)}'
            for key in keys
        )
    raise FileExistsError(f'{str(folder)!r} {differs}; choose another root or delete the folder')


def render(
    folder: str | Path,
    domain: str,
    seed: int,
    train_ids: int = 100,
    test_ids: int = 50,
    images_per_id: int = 11,
    progress: Callable[[int, int], None] | None = None,
    layout: str = 'market1501',
) -> dict:
    """Renders one domain as a data set into `folder`, which appears only once it is complete.

    Args:
        folder: the data set's own folder, e.g. root/'market1501' for the layout of that name.
        domain: a key of DOMAINS.
        seed: 0..2**32-1; with the domain's settings and the counts it decides every pixel.
        train_ids, test_ids: numbers of people, each 2 or more and together at most 1501.
        images_per_id: 4..600, spread over the cameras that see the person.
        progress: called as progress(done, total) after each image.
        layout: a key of LAYOUTS, the benchmark whose folders and names are used.

    Returns the manifest, also kept in `folder`/manifest.json. If it is there with the same content, nothing
    is rendered. Raises FileExistsError if `folder` holds anything else, ValueError for a value out of range.
    """
    site = _checked(domain, seed)
    if layout not in LAYOUTS:
        raise ValueError(f'layout is {layout!r}, must be one of {", ".join(LAYOUTS)}')
    _in_range('train_ids', train_ids, 2, MAX_PID - 2)
    _in_range('test_ids', test_ids, 2, MAX_PID - train_ids)
    _in_range('images_per_id', images_per_id, 4, MAX_IMAGES_PER_ID)
    # through JSON and back, so that it compares equal to the one read from a file
    manifest = json.loads(
        json.dumps(
            {
                'version': VERSION,
                'layout': layout,
                'domain': domain,
                'seed': seed,
                'train_ids': train_ids,
                'test_ids': test_ids,
                'images_per_id': images_per_id,
                'settings': asdict(site),
            }
        )
    )
    folder = Path(folder)
    if _already_rendered(folder, manifest):
        return manifest
    with scratch_folder(folder) as partial:
        _render_images(partial, LAYOUTS[layout], domain, seed, train_ids, test_ids, images_per_id, progress)
        (partial / 'manifest.json').write_text(json.dumps(manifest, indent=1) + '\n')
        try:
            partial.rename(folder)
        except OSError:
            # another process may have finished the same data set in the meantime
            if not _already_rendered(folder, manifest):
                raise
    return manifest


def _render_images(
    partial: Path,
    layout: Layout,
    domain: str,
    seed: int,
    train_ids: int,
    test_ids: int,
    images_per_id: int,
    progress,
) -> None:
    total = (train_ids + test_ids) * images_per_id
    lists = {'train': [], 'val': [], 'query': [], 'gallery': []}
    for number in range(total):
        pid, index = number // images_per_id + 1, number % images_per_id
        cameras = _plan(DOMAINS[domain], seed, pid, images_per_id)
        camera = cameras[index]
        if pid <= train_ids:
            half, first, split = layout.train, 1, 'train'
            if layout.lists and index == images_per_id - 1:
                split = 'val'
        else:
            # as in the benchmarks, one image per camera is a query
            is_query = cameras.index(camera) == index
            half, split = (layout.query, 'query') if is_query else (layout.gallery, 'gallery')
            first = train_ids + 1
        label = pid - first if layout.lists else pid
        name = layout.name.format(pid=label, camera=camera, index=index, frame=number + 1, box=int(split != 'query'))
        path = partial / layout.inner / half / name
        path.parent.mkdir(parents=True, exist_ok=True)
        render_image(domain, seed, pid, camera, index).save(path, quality=92)
        lists[split].append(f'{name} {label}\n')
        if progress:
            progress(number + 1, total)
    if layout.lists:
        for split, lines in lists.items():
            (partial / layout.inner / f'list_{split}.txt').write_text(''.join(lines))
