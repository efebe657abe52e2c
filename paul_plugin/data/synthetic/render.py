"""Renders a site as a data set in Market-1501's layout, in a folder that appears once it is complete."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ...runtime.files import scratch_folder
from .cameras import render_image
from .domains import MAX_IMAGES_PER_ID, MAX_PID, Domain, check_range, domain_named
from .streams import Stream, random_stream

VERSION = 1  # raise it whenever the same parameters give other pixels
# of Market-1501
INNER = 'Market-1501-v15.09.15'  # the folder inside the data set's folder
TRAIN, QUERY, GALLERY = 'bounding_box_train', 'query', 'bounding_box_test'


def _plan(domain: Domain, seed: int, pid: int, images_per_id: int) -> list[int]:
    """The camera of each image of a person: at least two images under each of at least two cameras."""
    rng = random_stream(domain, seed, Stream.PLAN, pid)
    low, high = (min(int(n), domain.cameras, images_per_id // 2) for n in domain.appearances)
    seen = rng.permutation(domain.cameras)[: rng.integers(low, high + 1)] + 1
    return sorted(np.resize(seen, images_per_id).tolist())


def _difference(key: str, found: object, wanted: object) -> str:
    return 'settings of the domain' if key == 'settings' else f'{key} {found} instead of {wanted}'


def already_rendered(folder: Path, manifest: dict) -> bool:
    """Whether the folder holds just the images of a manifest, of `manifest_of`.

    Raises:
        FileExistsError: if it holds anything else; one line that says what.
    """
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
        values = {key: (found.get(key), manifest.get(key)) for key in {**found, **manifest}}
        differs = 'was rendered with other parameters: ' + ', '.join(
            _difference(key, *pair) for key, pair in values.items() if pair[0] != pair[1]
        )
    raise FileExistsError(f'{str(folder)!r} {differs}; choose another root or delete the folder')


def manifest_of(domain: str, seed: int, train_ids: int, test_ids: int, images_per_id: int) -> dict:
    """What `render` keeps in `folder`/manifest.json, by the same arguments: it decides every pixel.

    Raises:
        ValueError: for a value out of range; it names the argument, its value and the range.
    """
    site = domain_named(domain, seed)
    check_range('train_ids', train_ids, 2, MAX_PID - 2)
    check_range('test_ids', test_ids, 2, MAX_PID - train_ids)
    check_range('images_per_id', images_per_id, 4, MAX_IMAGES_PER_ID)
    counts = {'train_ids': train_ids, 'test_ids': test_ids, 'images_per_id': images_per_id}
    manifest = {'version': VERSION, 'layout': 'market1501', 'domain': domain, 'seed': seed, **counts}
    # through JSON and back, so that it compares equal to the one read from a file
    return json.loads(json.dumps({**manifest, 'settings': asdict(site)}))


def render(
    folder: str | Path,
    domain: str,
    seed: int,
    train_ids: int = 100,
    test_ids: int = 50,
    images_per_id: int = 11,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Renders one domain as a data set in Market-1501's layout.

    Args:
        folder: the data set's own folder, e.g. root/'market1501'; it appears only once it is complete.
        domain: a key of `DOMAINS`.
        seed: 0..2**32-1; with the domain's settings and the counts it decides every pixel.
        train_ids: number of people to train on, 2 or more.
        test_ids: number of people to test on, 2 or more; with `train_ids` at most 1501.
        images_per_id: 4..600, spread over the cameras that see the person.
        progress: called as progress(done, total) after each image.

    Returns:
        The manifest, also kept in `folder`/manifest.json. If it is there with the same content, nothing is rendered.

    Raises:
        FileExistsError: if `folder` holds anything else; nothing is written.
        ValueError: for a value out of range; it names the argument, its value and the range.

    Example:
        >>> render('reid-data/market1501', 'source', seed=0)['train_ids']
        100
    """
    manifest = manifest_of(domain, seed, train_ids, test_ids, images_per_id)
    folder = Path(folder)
    if already_rendered(folder, manifest):
        return manifest
    with scratch_folder(folder) as partial:
        _render_images(partial / INNER, domain_named(domain, seed), manifest, progress)
        (partial / 'manifest.json').write_text(json.dumps(manifest, indent=1) + '\n')
        try:
            partial.rename(folder)
        except OSError:
            # another process may have finished the same data set in the meantime
            if not already_rendered(folder, manifest):
                raise
    return manifest


def _render_images(folder: Path, site: Domain, manifest: dict, progress: Callable[[int, int], None] | None) -> None:
    """Renders the images that a manifest tells of, in the order of their frame numbers."""
    names = ('domain', 'seed', 'train_ids', 'test_ids', 'images_per_id')
    domain, seed, train_ids, test_ids, images_per_id = (manifest[name] for name in names)
    for part in (TRAIN, QUERY, GALLERY):
        (folder / part).mkdir(parents=True)
    total = (train_ids + test_ids) * images_per_id
    for number in range(total):
        pid, index = number // images_per_id + 1, number % images_per_id
        cameras = _plan(site, seed, pid, images_per_id)
        camera = cameras[index]
        # as in the benchmark, one image per camera is a query
        is_query = pid > train_ids and cameras.index(camera) == index
        part = TRAIN if pid <= train_ids else QUERY if is_query else GALLERY
        name = f'{pid:04d}_c{camera}s1_{number + 1:06d}_{int(not is_query):02d}.jpg'
        render_image(domain, seed, pid, camera, index).save(folder / part / name, quality=92)
        if progress:
            progress(number + 1, total)
