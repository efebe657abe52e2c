"""The unsupervised stage: PEDAL + IPFL as a torchreid engine."""

import torch
import torchreid
from torch import Tensor
from tqdm import tqdm

from . import host
from .ipfl import IPFLLoss
from .memory import PatchMemory
from .miner import CyclicRankingMiner
from .pedal import PEDALLoss


class ImagePAULEngine(host.HostFixes, torchreid.engine.Engine):
    """PAUL, patch-based unsupervised learning, for image re-ID (Yang et al., CVPR 2019).

    The objective is `weight_ipfl * IPFL + weight_pedal * PEDAL`. Person ids are never read: they are used in testing
    only. Before its first epoch the engine fills the memory bank by one pass over all training images.

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

    Raises:
        ValueError: for an argument out of range, a data manager without surrogates, or training images that are
            too few or listed twice.

    Example:
        >>> engine = torchreid.engine.ImagePAULEngine(datamanager, model, optimizer, scheduler=scheduler)
        >>> engine.run(save_dir='log/paul', max_epoch=60, dist_metric='cosine')
    """

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
    ) -> None:
        super().__init__(datamanager, use_gpu)
        net = host.unwrap(model)
        if net.loss != 'paul':
            raise ValueError(f"ImagePAULEngine needs a model built with loss='paul', got loss={net.loss!r}")
        if not host.gives_surrogates(datamanager):
            raise ValueError("ImagePAULEngine needs 'surrogate_positive' among the data manager's transforms")
        if min(weight_pedal, weight_ipfl) < 0 or weight_pedal == weight_ipfl == 0:
            raise ValueError(f'ImagePAULEngine: weights must be >= 0, one above, got {weight_pedal=}, {weight_ipfl=}')
        if datamanager.train_loader.batch_size < r + 2:
            raise ValueError(
                f'ImagePAULEngine: cyclic ranking with r={r} needs a batch of at least {r + 2} images, '
                f'got {datamanager.train_loader.batch_size}'
            )
        host.sort_training_images(datamanager)
        paths = host.training_images(datamanager)
        if len(paths) <= k:
            raise ValueError(f'ImagePAULEngine: k={k} needs more than k training images, got {len(paths)}')
        if len(paths) < datamanager.train_loader.batch_size:  # torchreid's loader drops the incomplete batch
            raise ValueError(
                f'ImagePAULEngine: a batch of {datamanager.train_loader.batch_size} images is more than '
                f'the {len(paths)} training images'
            )
        self.row_of = {path: row for row, path in enumerate(paths)}
        if len(self.row_of) < len(paths):
            twice = next(path for row, path in enumerate(paths) if self.row_of[path] != row)
            raise ValueError(f'ImagePAULEngine: a training image is listed twice: {twice}')

        if self.use_gpu:  # the tensors stay the optimizer's own
            model.cuda()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.register_model('model', model, optimizer, scheduler)
        self.device = next(model.parameters()).device
        self.memory = PatchMemory(len(paths), net.num_patches, net.dim, momentum).to(self.device)
        self.pedal = PEDALLoss(k, scale)
        self.miner = CyclicRankingMiner(r)
        self.ipfl = IPFLLoss(margin)
        self.weight_pedal = weight_pedal
        self.weight_ipfl = weight_ipfl

    def frozen(self) -> list[torch.nn.Module]:
        """The PGN's weights stay; its BatchNorm statistics follow the data and gradients pass through it."""
        return [host.unwrap(self.model).pgn]

    def extra_state(self) -> dict:
        return {'memory': self.memory.state_dict()}

    def load_extra_state(self, checkpoint: dict) -> None:
        self.memory.load_state_dict(checkpoint['memory'])

    def rows(self, paths: list[str]) -> Tensor:
        """Bank rows of images: (B,) int64."""
        return torch.tensor([self.row_of[path] for path in paths], device=self.device)

    @torch.no_grad()
    def fill_memory(self) -> None:
        """Stores the features of every training image, one pass in training mode."""
        self.model.train()
        for batch in tqdm(host.fill_loader(self.datamanager), 'Filling the patch memory bank', mininterval=1):
            features = self.model(batch['img'].to(self.device, non_blocking=True))
            self.memory.update(self.rows(batch['impath']), features)

    def train(self, *args, **kwargs) -> None:
        if not self.memory.filled.any():
            self.fill_memory()
        super().train(*args, **kwargs)

    def forward_backward(self, data: dict) -> dict[str, float]:
        """One step: real images and surrogates in one forward pass, the bank's update, both losses."""
        images = torch.cat(data['img']).to(self.device, non_blocking=True)
        rows = self.rows(data['impath'])
        real, surrogate = self.model(images).chunk(2)
        self.memory.update(rows, real)
        pedal = self.pedal(real, self.memory.bank, rows, self.memory.filled)
        anchors, positives = real.flatten(1), surrogate.flatten(1)
        negatives = self.miner(anchors)
        ipfl = self.ipfl(anchors, positives, anchors[negatives.clamp(min=0)], valid=negatives >= 0)
        loss = self.weight_ipfl * ipfl + self.weight_pedal * pedal

        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        summary = torch.stack([loss, pedal, ipfl, (negatives >= 0).float().mean()]).tolist()
        return dict(zip(('loss', 'pedal', 'ipfl', 'mined'), summary, strict=True))
