"""torchreid's pictures of ranked results: one for each query, drawn from images that are read as everywhere else."""

import contextlib
import functools
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
from PIL import Image
from torchreid import engine, utils

from ..runtime.errors import printable
from ..runtime.names import short_names
from . import module_of


def picture_names(paths: Sequence[str]) -> list[str]:
    """Names of pictures, without suffix, another for every query: the file's name, with folders where they are needed.

    Example:
        >>> picture_names(['/query/anna/1.png', '/query/bob/1.png', '/query/bob/2.png'])
        ['anna_1', 'bob_1', '2']
    """
    stems = [os.path.splitext(path)[0] for path in paths]
    short = short_names(stems)
    names, taken = [], set()
    for stem in stems:
        wanted = name = short[stem].strip('/').replace('/', '_')
        number = 2
        while name in taken:  # 1.png and 1.jpg, or a_b/1 and a/b_1
            name, number = f'{wanted}_{number}', number + 1
        taken.add(name)
        names.append(name)
    return names


def register_visrank(read_image: Callable[[str], Image.Image]) -> None:
    """Mends torchreid's pictures of ranked results, which `Engine.test` draws with `visrank`.

    torchreid names a picture by the query's file alone, so that of `anna/1.png` and `bob/1.png` the last one is left;
    and it reads images by OpenCV, which does not know all formats of PIL's, nor scales 16 bits.
    """
    tools = module_of(utils.visualize_ranked_results)
    draw = getattr(tools.visualize_ranked_results, '__wrapped__', tools.visualize_ranked_results)
    cv2 = getattr(tools.cv2, 'original', tools.cv2)

    def imread(path: str) -> np.ndarray:
        return np.ascontiguousarray(np.asarray(read_image(path))[..., ::-1])  # OpenCV's order is BGR

    tools.cv2 = SimpleNamespace(**{**vars(cv2), 'imread': imread, 'original': cv2})

    @functools.wraps(draw)
    def visualize_ranked_results(distmat, dataset, data_type, width=128, height=256, save_dir='', topk=10):
        if data_type != 'image':
            draw(distmat, dataset, data_type, width, height, save_dir, topk)
            return
        query, gallery = dataset
        os.makedirs(save_dir, exist_ok=True)
        for row, item, name in zip(distmat, query, picture_names([item[0] for item in query]), strict=True):
            with (
                tempfile.TemporaryDirectory(prefix='.visrank', dir=save_dir) as folder,
                contextlib.redirect_stdout(io.StringIO()),
            ):
                draw(row[None], ([item], gallery), data_type, width, height, folder, topk)
                (picture,) = os.scandir(folder)
                os.replace(picture.path, os.path.join(save_dir, f'{name}.jpg'))
        print(f'Drawn: the first {topk} of each of {len(query)} queries, in "{printable(save_dir)}"')

    tools.visualize_ranked_results = utils.visualize_ranked_results = visualize_ranked_results
    module_of(engine.Engine).visualize_ranked_results = visualize_ranked_results
