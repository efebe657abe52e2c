"""Measures the signs of cameras while an engine trains: at the start, after the bank's filling, after each epoch."""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

import torch
from PIL import Image
from torch import Tensor

from ...data.descriptors import describe_images, eval_mode
from ...data.images import read_image
from ...host.data import test_stages, training_cameras, training_images
from ...host.engine import unwrap
from ...host.progress import bar
from ...method.camera_signs import camera_mixing, camera_mutuality, effective_rank, patch_agreement
from ...runtime import processes
from .history import write_record
from .observer import Observer
from .verdict import CROPS, FILLED, RANK, SIGN_NAMES, START, UNKNOWN, name_of, signs_of, verdict

SIGNS = 'signs.json'  # in the run's folder, beside history.json
_FEWEST, _MOST = 300, 2000
_BATCH = 64  # crops that are described at a time


def crops_described(images: int) -> int:
    """How many crops are described each time: a third of the training images, which costs 1/18 of an epoch's passes.

    At least 300, below which the signs are noise, as far as there are so many, and at most 2,000.
    """
    return min(images, max(_FEWEST, min(_MOST, images // 3)))


def why_unknown(cameras: Sequence[int]) -> str:
    """Why the signs of crops of these cameras would tell nothing, in a line; '' where they do tell.

    A camera's crops must be alike by their camera before they can mix with others': of a single crop nothing is known.

    Example:
        >>> why_unknown([0, 0, 1, 1])
        ''
    """
    counts = Counter(cameras)
    if len(counts) < 2:
        return UNKNOWN
    if median(counts.values()) < 2:
        return (
            f'It cannot be told whether adapting helped: {len(counts)} cameras were read for {len(cameras)} crops, '
            'most of them with a single one. Name the cameras by folder.camera, so that each has several, to get signs '
            'without labels'
        )
    return ''


class CameraSigns(Observer):
    """Records camera mutuality and camera mixing of the training crops, here and in each epoch's history.

    The same crops each time, drawn by the engine's seed, described in eval mode without augmentation. The first
    process describes them, alone; nothing that training depends on is touched. Their images stay in memory, as many
    bytes as they have pixels, three times. Where `why_unknown` says why, nothing is recorded.

    Attributes:
        signs: what was measured so far, as `signs_of` gives it; in the run's folder it is signs.json.
    """

    key = 'signs'

    def __init__(self) -> None:
        self.signs: list[dict] = []
        self._images: list[Image.Image] = []
        self._cameras: Tensor | None = None  # of the crops; until they are drawn None

    def state_dict(self) -> list[dict]:
        return self.signs

    def load_state_dict(self, state: object) -> None:
        """Restores what `state_dict` returned; of anything else, what is whole."""
        self.signs = signs_of(state)

    def verdict(self, engine, keep: str) -> str:
        """What the signs say of the run that ended, in a line; `keep` as in the function `verdict`."""
        why = '' if self.signs else why_unknown(training_cameras(engine.datamanager))
        return why or verdict(self.signs, engine.history, keep)

    def write(self, engine) -> None:
        """Writes the signs into the run's folder; nothing where nothing is."""
        write_record(engine, SIGNS, self.signs)

    def at_start(self, engine) -> None:
        self.signs = []
        self.write(engine)
        unknown = why_unknown(training_cameras(engine.datamanager))
        if unknown:
            print(unknown)
        self._record(engine, START)

    def at_resume(self, engine) -> None:
        self.write(engine)

    def after_filling(self, engine) -> None:
        self._record(engine, FILLED)

    def after_epoch(self, engine) -> None:
        entry = engine.history[-1]
        sign = self._record(engine, name_of(entry['epoch']))
        entry.update({name: sign[name] for name in (*SIGN_NAMES, RANK) if name in sign})

    def _record(self, engine, name: str) -> dict:
        found = processes.from_first(self._measure(engine) if processes.is_first() else None)
        if found is None:
            return {}
        sign = {'name': name, 'epoch': engine.done[0], **found}
        self.signs.append(sign)
        self.write(engine)
        measured = {sort: found[sort] for sort in (*SIGN_NAMES, RANK) if sort in found}
        words = (f'{sort.replace("_", " ")} {value:.3f}' for sort, value in measured.items())
        print(f'Signs of cameras, {name}: {", ".join(words)}')
        if name == START and found['mixing'] > 1:
            print(
                f'warning: camera mixing is {found["mixing"]:.3f}, above chance: crops of different cameras are nearer '
                'than those of one. Where the cameras were read from names, they may be no cameras: see folder.camera'
            )
        if engine.writer is not None and processes.is_first() and name != START:
            for sort, value in measured.items():
                engine.writer.add_scalar(f'Signs/{sort}', value, engine.done[0])
        return sign

    def _measure(self, engine) -> dict[str, float] | None:
        if self._cameras is None:
            self._cameras = self._read(engine)
        if not self._images:
            return None
        model, (_, to_tensor) = unwrap(engine.model), test_stages(engine.datamanager)
        with eval_mode(model):
            images = _Transformed(self._images, to_tensor)
            batches, number = describe_images(model, images, _BATCH), -(-len(images) // _BATCH)
            descriptors = torch.cat(list(bar(batches, 'Signs of cameras', ' batches', number)))
        patches = descriptors.unflatten(1, (model.num_patches, -1))
        return {
            'mutuality': camera_mutuality(descriptors, self._cameras),
            'mixing': camera_mixing(descriptors, self._cameras),
            'agreement': patch_agreement(patches, self._cameras),
            RANK: effective_rank(descriptors, self._cameras),
            CROPS: len(self._images),
        }

    def _read(self, engine) -> Tensor:
        """Draws the crops and reads them, at the network's size, unless they can tell nothing; gives their cameras."""
        paths, cameras = training_images(engine.datamanager), torch.tensor(training_cameras(engine.datamanager))
        if why_unknown(cameras.tolist()):
            return cameras
        own = torch.Generator().manual_seed(engine.seed)
        drawn = torch.randperm(len(paths), generator=own)[: crops_described(len(paths))].sort().values
        to_size, _ = test_stages(engine.datamanager)
        own_paths = bar([paths[index] for index in drawn.tolist()], 'Reading crops for the signs of cameras', ' images')
        self._images = [to_size(read_image(path)) for path in own_paths]
        return cameras[drawn]


class _Transformed(torch.utils.data.Dataset):
    def __init__(self, images: list[Image.Image], transform: Callable) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(self.images[index])
