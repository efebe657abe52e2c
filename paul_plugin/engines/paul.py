"""The unsupervised stage: PEDAL + IPFL as a torchreid engine."""

import itertools

import torch
import torchreid
from tqdm import tqdm

from ..data import loaders
from ..host.data import DataManager, images_of_cameras, reads_people, sort_training_images, training_images
from ..host.engine import unwrap
from ..host.progress import bar
from ..method.centroid_ipfl import CentroidIPFL
from ..method.ipfl import DescriptorIPFL
from ..method.memory import PatchMemory
from ..method.miner import CyclicRankingMiner
from ..method.patchnet import PatchNet
from ..runtime import processes, stopping
from .base import ResumableEngine
from .build_objective import build_objective, check_words
from .fastest import chooser
from .kept_bank import KeptBank
from .precision import MixedPrecision
from .watch.alarm import RecallAlarm
from .watch.collapse import CollapseAlarm
from .watch.counts import PositivesRecord, SkippedSteps


class ImagePAULEngine(ResumableEngine, torchreid.engine.Engine):
    """PAUL, patch-based unsupervised learning, for image re-ID (Yang et al., CVPR 2019).

    The objective is `weight_ipfl * IPFL + weight_pedal * PEDAL`. Person ids are never read: they are used in testing
    only. Before its first epoch the engine fills the memory bank by one pass over all training images. What it does
    for resuming and stopping is ResumableEngine's.

    Args:
        datamanager: torchreid's ImageDataManager with `surrogate_positive` among its transforms. With `weight_ipfl=0`
            it may be left out; a step then passes half the images, and BatchNorm's statistics are those of real images.
        model: a `paul` model built with `loss='paul'`.
        optimizer: an optimizer of the model's parameters.
        scheduler: a learning rate scheduler, stepped once an epoch.
        use_gpu: use the GPU where there is one.
        k, scale: of PEDALLoss.
        margin: of IPFLLoss.
        r: of CyclicRankingMiner.
        momentum: of PatchMemory.
        weight_pedal: lambda of the paper.
        weight_ipfl: 1 in the paper; 0 for PEDAL alone.
        neighbours: among which rows PEDAL looks for the k nearest: `all`, the paper's, or `camera`: among those of each
            camera, of CameraPEDALLoss; the bank's rows are then sorted by camera.
        k_camera: how many in each camera, 0 for k divided by the number of cameras, rounded, at least 1.
        positives: which rows PEDAL pulls nearer. `patch`, the paper's: a patch's nearest patches. `mutual`, with
            neighbours='camera': for all patches of an image, those of the images that are its nearest by the whole
            descriptor, in both directions, of MutualNeighbours; `image`: the same in one direction; `reciprocal`: those
            that share its nearest images, of ReciprocalNeighbours. They are chosen from the memory bank before each
            epoch, of a single camera among all images.
        overlap: of ReciprocalNeighbours, whose `shared` is k, and whose k is k_camera, or k if that is 0.
        similarity: what PEDAL compares: `patch`, the paper's, each of the M patches with its own memory bank; or, for
            the ablation, `image`: whole images, by their M patch features one after the other, with one memory bank.
        ipfl: `descriptor`, the paper's: real images' descriptors are anchors, their surrogates' positives, negatives
            mined among the former; or `centroid`, the release's: the embeddings of real images and surrogates are
            anchors, their image's centroid is the positive, negatives are mined among centroids.
        max_candidates: of CyclicRankingMiner.
        amp: `off`, `bf16` or `fp16`, of MixedPrecision, or `auto`: the fastest of these here.
        bank_dtype: the memory bank's storage, `float32` or, at half the memory, `bfloat16`.
        shard_memory: with several processes, each holds its share of the memory bank instead of all of it.
        collapse_cosine: mean cosine between the bank's descriptors over which a warning is printed, 1 for none.
        recall_guard: what happens when bank recall falls far below its start, `warn` or `stop`, of RecallAlarm.

    Raises:
        ValueError: for an argument out of range, a data manager without surrogates, or training images that are
            too few or listed twice.

    Example:
        >>> engine = torchreid.engine.ImagePAULEngine(datamanager, model, optimizer, scheduler=scheduler)
        >>> engine.run(save_dir='log/paul', max_epoch=60, dist_metric='cosine')
    """

    every_parameter_used = True
    kept_bank: KeptBank | None = None  # of choose_rate, until the run takes it

    def __init__(
        self,
        datamanager: DataManager,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler=None,
        use_gpu: bool = True,
        *,
        k: int = 10,
        scale: float = 30.0,
        margin: float = 2.0,
        r: int = 3,
        momentum: float = 0.1,
        weight_pedal: float = 2.0,
        weight_ipfl: float = 1.0,
        neighbours: str = 'all',
        k_camera: int = 0,
        positives: str = 'patch',
        overlap: float = 0.6,
        similarity: str = 'patch',
        ipfl: str = 'descriptor',
        max_candidates: int | None = None,
        amp: str = 'off',
        bank_dtype: str = 'float32',
        shard_memory: bool = False,
        collapse_cosine: float = 0.5,
        recall_guard: str = 'warn',
    ) -> None:
        super().__init__(datamanager, use_gpu)
        net = unwrap(model)
        if min(weight_pedal, weight_ipfl) < 0 or weight_pedal == weight_ipfl == 0:
            raise ValueError(f'ImagePAULEngine: weights must be >= 0, one above, got {weight_pedal=}, {weight_ipfl=}')
        _check_fit(datamanager, net, needs_surrogates=weight_ipfl > 0)
        check_words(
            neighbours=neighbours, positives=positives, similarity=similarity, ipfl=ipfl, bank_dtype=bank_dtype
        )
        num_images = _sorted_training_images(datamanager, k, r, by_camera=neighbours == 'camera')

        if self.use_gpu:  # the tensors stay the optimizer's own
            model.cuda()
        self.model = model.to(memory_format=torch.channels_last)  # the faster layout; values, names and shapes stay
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.register_model('model', model, optimizer, scheduler)
        self.device = next(model.parameters()).device
        self.precision = MixedPrecision(amp, self.device, chooser(datamanager, model))

        cameras = images_of_cameras(datamanager) if neighbours == 'camera' else None
        pulled = {'k': k, 'k_camera': k_camera, 'scale': scale, 'similarity': similarity}
        pulled |= {'positives': positives, 'overlap': overlap}
        mined = {'ipfl': ipfl, 'margin': margin, 'r': r, 'max_candidates': max_candidates}
        kept = {'momentum': momentum, 'bank_dtype': bank_dtype, 'shard_memory': shard_memory}
        weights = {'weight_pedal': weight_pedal, 'weight_ipfl': weight_ipfl}
        objective = build_objective(net, num_images, cameras, **pulled, **mined, **kept, **weights)
        self.objective = objective.to(self.device)
        self.observers += [CollapseAlarm(collapse_cosine), SkippedSteps(), PositivesRecord(), RecallAlarm(recall_guard)]

    @property
    def memory(self) -> PatchMemory:
        return self.objective.memory

    @property
    def ipfl(self) -> DescriptorIPFL | CentroidIPFL:
        return self.objective.ipfl

    @property
    def miner(self) -> CyclicRankingMiner:
        return self.ipfl.miner

    @property
    def mines_centroids(self) -> bool:
        """Whether negatives are mined among centroids, as in the release, and not among descriptors."""
        return isinstance(self.ipfl, CentroidIPFL)

    def frozen(self) -> list[torch.nn.Module]:
        """The PGN's weights stay; its BatchNorm statistics follow the data and gradients pass through it."""
        net = unwrap(self.model)
        return [net.pgn, net.embedding, net.classifier]

    def way_out(self) -> str:
        return super().way_out() + self.precision.way_out()

    def extra_state(self) -> dict:
        return {'amp': self.precision.state_dict(), **self.objective.gathered_state()}

    def load_extra_state(self, checkpoint: dict) -> None:
        self.objective.load_whole(checkpoint, within_epoch=bool(checkpoint['summaries']))
        self.precision.load_state_dict(checkpoint['amp'])

    @torch.no_grad()
    def fill_memory(self) -> None:
        """Stores the features of every training image, one pass in training mode."""
        self.precision.settle()  # its line stands before the bar
        self.model.train()
        loader = loaders.fill_loader(self.datamanager.train_loader, self.seed)
        share = self.datamanager.train_loader.batch_size // processes.world_size()
        quiet = not processes.is_first()
        for batch in tqdm(loader, 'Filling the patch memory bank', mininterval=1, disable=quiet):
            stopping.check_together()
            with self.precision.autocast():
                features = self.objective.compared(self.model(batch['img'].to(self.device, non_blocking=True)))
            parts = (processes.gather_parts(part, share) for part in (batch['row'].to(self.device), features))
            self.memory.update(*map(torch.cat, parts))
        processes.copy_buffers(self.model)

    def train(self, *args, **kwargs) -> None:
        if not processes.any_of(bool(self.memory.filled.any())):
            with stopping.instead_of_errors():
                if self.kept_bank is None or not self.kept_bank.take():
                    self.fill_memory()
            for observer in self.observers:
                observer.after_filling(self)
            self.recorded()
        self.kept_bank = None
        if self.done[1] == 0:  # a run that goes on within an epoch has this epoch's
            self.choose_positives()
        super().train(*args, **kwargs)

    def choose_positives(self) -> None:
        """Chooses each image's positives for the next epoch, where whole images choose them; says how many."""
        self.objective.choose_positives(lambda blocks: bar(blocks, 'Choosing positives', ' blocks'))
        found = self.objective.numbers
        if found:
            others = f', {found["other_cameras"]:.2f} of them in other cameras' if 'other_cameras' in found else ''
            without = f'{found["without"]:.1%} of the images have none'
            print(f'Positives: {found["positives"]:.2f} an image{others}; {without}')
            if found['without'] > 0.5:
                print(
                    'warning: most images have no positive and add nothing to the loss: set paul.k to about the '
                    'number of crops that a person has, or paul.positives patch; a lower paul.overlap helps, too'
                )

    def training_step(self, data: dict) -> dict[str, float]:
        """One step: real images and surrogates, if there are any, in one forward pass, then the objective."""
        images = data['img'] if isinstance(data['img'], list) else [data['img']]
        rows = data['row'].to(self.device)
        with self.precision.autocast():
            described = self.network(torch.cat(images).to(self.device, non_blocking=True))
        real, surrogate = described.chunk(2) if len(images) > 1 else (described, None)
        losses, shares = self.objective(real, surrogate, rows)
        self.guard.watch(losses)
        self.precision.step(losses['loss'], self.optimizer)
        summary = {**losses, **shares}
        return dict(zip(summary, torch.stack([*summary.values()]).tolist()))


def _check_fit(datamanager: DataManager, net: PatchNet, needs_surrogates: bool) -> None:
    """Refuses a model or a data manager that is not made for this stage."""
    if net.loss != 'paul':
        raise ValueError(f"ImagePAULEngine needs a model built with loss='paul', got loss={net.loss!r}")
    if needs_surrogates and not loaders.gives_surrogates(datamanager):
        raise ValueError(
            "ImagePAULEngine needs 'surrogate_positive' among the data manager's transforms, or weight_ipfl=0"
        )
    if reads_people(datamanager):
        raise ValueError(
            "ImagePAULEngine: the data manager's sampler RandomIdentitySampler reads who is on the images: use "
            'RandomSampler'
        )


def _sorted_training_images(datamanager: DataManager, k: int, r: int, by_camera: bool) -> int:
    """Puts the training images into the order of the memory bank's rows; returns how many there are.

    Raises:
        ValueError: if they are too few for a batch, for cyclic ranking or for PEDAL, or one is listed twice.
    """
    batch_size = datamanager.train_loader.batch_size
    if batch_size < r + 2:
        raise ValueError(
            f'ImagePAULEngine: cyclic ranking with r={r} needs a batch of at least {r + 2} images, got {batch_size}'
        )
    sort_training_images(datamanager, by_camera)
    paths = training_images(datamanager)
    if len(paths) <= k:
        raise ValueError(f'ImagePAULEngine: k={k} needs more than k training images, got {len(paths)}: lower k')
    if len(paths) < batch_size:  # torchreid's loader drops the incomplete batch
        raise ValueError(
            f'ImagePAULEngine: a batch of {batch_size} images is more than the {len(paths)} training images'
        )
    twice = next((path for path, after in itertools.pairwise(sorted(paths)) if path == after), None)
    if twice is not None:
        raise ValueError(f'ImagePAULEngine: a training image is listed twice: {twice}: name its data set once')
    return len(paths)
