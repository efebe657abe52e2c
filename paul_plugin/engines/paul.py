"""The unsupervised stage: PEDAL + IPFL as a torchreid engine."""

import numpy as np
import torch
import torchreid
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..data import loaders
from ..data.loaders import gives_surrogates
from ..figures.tensorboard import TensorBoardPictures
from ..host.data import sort_training_images, training_images
from ..host.engine import unwrap
from ..method.ipfl import IPFLLoss
from ..method.memory import PatchMemory, mean_cosine
from ..method.miner import CyclicRankingMiner
from ..method.pedal import PEDALLoss
from ..runtime import processes, stopping
from .base import ResumableEngine
from .precision import MixedPrecision


class ImagePAULEngine(ResumableEngine, torchreid.engine.Engine):
    """PAUL, patch-based unsupervised learning, for image re-ID (Yang et al., CVPR 2019).

    The objective is `weight_ipfl * IPFL + weight_pedal * PEDAL`. Person ids are never read: they are used in testing
    only. Before its first epoch the engine fills the memory bank by one pass over all training images. What it does
    for resuming and stopping is ResumableEngine's.

    Args:
        datamanager: torchreid's ImageDataManager with `surrogate_positive` among its transforms.
        model: a `paul` model built with `loss='paul'`.
        optimizer: an optimizer of the model's parameters.
        scheduler: a learning rate scheduler, stepped once an epoch.
        use_gpu: use the GPU where there is one.
        k, scale: of PEDALLoss.
        margin: of IPFLLoss.
        r: of CyclicRankingMiner.
        momentum: of PatchMemory.
        weight_pedal: lambda of the paper.
        weight_ipfl: 1 in the paper; 0 for the ablation.
        similarity: what PEDAL compares: `patch`, the paper's, each of the M patches with its own memory bank; or, for
            the ablation, `image`: whole images, by their M patch features one after the other, with one memory bank.
        ipfl: `descriptor`, the paper's: real images' descriptors are anchors, their surrogates' positives, negatives
            mined among the former; or `centroid`, the release's: the embeddings of real images and surrogates are
            anchors, their image's centroid is the positive, negatives are mined among centroids.
        max_candidates: of CyclicRankingMiner.
        amp: `off`, `bf16` or `fp16`, of MixedPrecision.
        bank_dtype: the memory bank's storage, `float32` or, at half the memory, `bfloat16`.
        shard_memory: with several processes, each holds its share of the memory bank instead of all of it.
        collapse_cosine: mean cosine between the bank's descriptors over which a warning is printed, 1 for none.
        pictures_freq: epochs between two sets of pictures in TensorBoard, 0 for none; a ranking is drawn in each test.

    Raises:
        ValueError: for an argument out of range, a data manager without surrogates, or training images that are
            too few or listed twice.

    Example:
        >>> engine = torchreid.engine.ImagePAULEngine(datamanager, model, optimizer, scheduler=scheduler)
        >>> engine.run(save_dir='log/paul', max_epoch=60, dist_metric='cosine')
    """

    every_parameter_used = True

    def __init__(
        self,
        datamanager,
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
        similarity: str = 'patch',
        ipfl: str = 'descriptor',
        max_candidates: int | None = None,
        amp: str = 'off',
        bank_dtype: str = 'float32',
        shard_memory: bool = False,
        collapse_cosine: float = 0.5,
        pictures_freq: int = 0,
    ) -> None:
        super().__init__(datamanager, use_gpu)
        net = unwrap(model)
        if net.loss != 'paul':
            raise ValueError(f"ImagePAULEngine needs a model built with loss='paul', got loss={net.loss!r}")
        if not gives_surrogates(datamanager):
            raise ValueError("ImagePAULEngine needs 'surrogate_positive' among the data manager's transforms")
        if min(weight_pedal, weight_ipfl) < 0 or weight_pedal == weight_ipfl == 0:
            raise ValueError(f'ImagePAULEngine: weights must be >= 0, one above, got {weight_pedal=}, {weight_ipfl=}')
        if similarity not in ('patch', 'image'):
            raise ValueError(f"ImagePAULEngine: similarity must be 'patch' or 'image', got {similarity!r}")
        if ipfl not in ('descriptor', 'centroid'):
            raise ValueError(f"ImagePAULEngine: ipfl must be 'descriptor' or 'centroid', got {ipfl!r}")
        if bank_dtype not in ('float32', 'bfloat16'):
            raise ValueError(f"ImagePAULEngine: bank_dtype must be 'float32' or 'bfloat16', got {bank_dtype!r}")
        if datamanager.train_loader.batch_size < r + 2:
            raise ValueError(
                f'ImagePAULEngine: cyclic ranking with r={r} needs a batch of at least {r + 2} images, '
                f'got {datamanager.train_loader.batch_size}'
            )
        sort_training_images(datamanager)
        paths = training_images(datamanager)
        if len(paths) <= k:
            raise ValueError(f'ImagePAULEngine: k={k} needs more than k training images, got {len(paths)}: lower k')
        if len(paths) < datamanager.train_loader.batch_size:  # torchreid's loader drops the incomplete batch
            raise ValueError(
                f'ImagePAULEngine: a batch of {datamanager.train_loader.batch_size} images is more than '
                f'the {len(paths)} training images'
            )
        self.row_of = {path: row for row, path in enumerate(paths)}
        if len(self.row_of) < len(paths):
            twice = next(path for row, path in enumerate(paths) if self.row_of[path] != row)
            raise ValueError(f'ImagePAULEngine: a training image is listed twice: {twice}: name its data set once')

        if self.use_gpu:  # the tensors stay the optimizer's own
            model.cuda()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.register_model('model', model, optimizer, scheduler)
        self.device = next(model.parameters()).device
        self.precision = MixedPrecision(amp, self.device)
        self.similarity = similarity
        size = (1, net.num_patches * net.dim) if similarity == 'image' else (net.num_patches, net.dim)
        dtype = getattr(torch, bank_dtype)
        self.memory = PatchMemory(len(paths), *size, momentum, dtype, sharded=shard_memory).to(self.device)
        self.pedal = PEDALLoss(k, scale)
        self.centroids = None
        if ipfl == 'centroid':
            length = net.num_patches * net.embedding_dim
            self.centroids = PatchMemory(len(paths), 1, length, momentum, sharded=shard_memory).to(self.device)
        self.miner = CyclicRankingMiner(r, max_candidates)
        self.ipfl = IPFLLoss(margin, count_unmined=ipfl == 'centroid')
        self.weight_pedal = weight_pedal
        self.weight_ipfl = weight_ipfl
        self.collapse_cosine = collapse_cosine
        self.mines_centroids = ipfl == 'centroid'
        self.pictures = TensorBoardPictures(pictures_freq) if pictures_freq else None

    def frozen(self) -> list[torch.nn.Module]:
        """The PGN's weights stay; its BatchNorm statistics follow the data and gradients pass through it."""
        net = unwrap(self.model)
        return [net.pgn, net.embedding, net.classifier]

    def extra_state(self) -> dict:
        state = {'memory': self.memory.gathered_state(), 'amp': self.precision.state_dict()}
        if self.centroids is not None:
            state['centroids'] = self.centroids.gathered_state()
        return state

    def load_extra_state(self, checkpoint: dict) -> None:
        self.memory.load_whole(checkpoint['memory'])
        self.precision.load_state_dict(checkpoint['amp'])
        if self.centroids is not None:
            self.centroids.load_whole(checkpoint['centroids'])

    def rows(self, paths: list[str]) -> Tensor:
        """Bank rows of images: (B,) int64."""
        return torch.tensor([self.row_of[path] for path in paths], device=self.device)

    def compared(self, features: Tensor) -> Tensor:
        """What PEDAL compares and the memory bank keeps of an image: its patch features, or one feature of them all.

        Args:
            features: (B, M, D), L2-normalised per patch.

        Returns:
            The same with `similarity='patch'`; else (B, 1, M * D), L2-normalised, so that the scale s means the same.
        """
        return features if self.similarity == 'patch' else F.normalize(features.flatten(1), dim=1).unsqueeze(1)

    @torch.no_grad()
    def fill_memory(self) -> None:
        """Stores the features of every training image, one pass in training mode."""
        self.model.train()
        loader = loaders.fill_loader(self.datamanager.train_loader, self.seed)
        share = self.datamanager.train_loader.batch_size // processes.world_size()
        quiet = not processes.is_first()
        for batch in tqdm(loader, 'Filling the patch memory bank', mininterval=1, disable=quiet):
            stopping.check_together()
            with self.precision.autocast():
                features = self.compared(self.model(batch['img'].to(self.device, non_blocking=True)))
            parts = (processes.gather_parts(part, share) for part in (self.rows(batch['impath']), features))
            self.memory.update(*map(torch.cat, parts))
        processes.copy_buffers(self.model)

    def train(self, *args, **kwargs) -> None:
        if not processes.any_of(bool(self.memory.filled.any())):
            with stopping.instead_of_errors():
                self.fill_memory()
        super().train(*args, **kwargs)

    def end_of_epoch(self) -> None:
        """Reports what goes wrong slowly: a collapse, and steps that float16 skipped; draws pictures."""
        cosine = mean_cosine(self.memory.bank, self.memory.filled, self.memory.shard is not None)
        self.history[-1]['cosine'] = cosine
        if cosine > self.collapse_cosine:
            print(
                f'warning: collapse: the descriptors in the memory bank have a mean cosine of {cosine:.3f}, more than '
                f'{self.collapse_cosine} (paul.collapse_cosine): lower train.lr or paul.weight_ipfl, raise paul.scale, '
                'check that the pre-trained weights are those of this model, or go back to an earlier checkpoint'
            )
        if self.precision.skipped:
            print(f'{self.precision.skipped} steps so far were skipped because float16 overflowed (train.amp fp16)')
        if self.pictures:
            self.pictures.after_epoch(self)

    def ranked(self, target: int, distances: np.ndarray) -> None:
        if self.pictures:
            self.pictures.after_ranking(self, target, distances)

    def image_loss(self, real: Tensor, surrogate: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """IPFL of the whole batch of all processes, and the share of anchors that have a mined negative.

        Args:
            real: (B, M, D), features of the real images of all processes.
            surrogate: (B, M, D), those of their surrogates.
            rows: (B,), the images' rows.
        """
        if self.centroids is None:
            anchors, positives = real.flatten(1), surrogate.flatten(1)
            candidates, negatives = anchors, self.miner(anchors)
        else:
            net = unwrap(self.model)
            of_real, of_surrogate = net.embed(real), net.embed(surrogate)
            self.centroids.update(rows, ((of_real + of_surrogate) / 2).unsqueeze(1))
            candidates = self.centroids.read(rows)[0]
            owners = torch.arange(len(rows), device=rows.device).repeat(2)
            anchors, positives = torch.cat([of_real, of_surrogate]), candidates[owners]
            negatives = self.miner(anchors, candidates, owners)
        mined = negatives >= 0
        loss = self.ipfl(anchors, positives, candidates.index_select(0, negatives.clamp(min=0)), valid=mined)
        return loss, mined.float().mean()

    def training_step(self, data: dict) -> dict[str, float]:
        """One step: real images and surrogates in one forward pass, the bank's update, both losses.

        Of several processes, each has its share of the images. PEDAL is the mean over that share, IPFL that of all
        images on every process; the average of the gradients is that of the whole batch's loss.
        """
        images = torch.cat(data['img']).to(self.device, non_blocking=True)
        rows = self.rows(data['impath'])
        with self.precision.autocast():
            real, surrogate = self.model(images).chunk(2)
        all_rows, all_real = processes.gather(rows), processes.gather_with_grad(real)
        self.memory.update(all_rows, self.compared(all_real))
        pedal = self.pedal(self.compared(real), self.memory.bank, rows, self.memory.filled, self.memory.shard)
        ipfl, mined = self.image_loss(all_real, processes.gather_with_grad(surrogate), all_rows)
        loss = self.weight_ipfl * ipfl + self.weight_pedal * pedal

        self.watch({'loss': loss, 'pedal': pedal, 'ipfl': ipfl})
        self.precision.step(loss, self.optimizer)
        summary = torch.stack([loss, pedal, ipfl, mined]).tolist()
        return dict(zip(('loss', 'pedal', 'ipfl', 'mined'), summary))
