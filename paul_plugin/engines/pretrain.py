"""The supervised pre-training of PatchNet, as the release has it, on torchreid's triplet engine."""

import torch
import torchreid
from torch import Tensor
from torch.nn import functional as F

from ..host.data import DataManager
from ..method.triplet import NearestTripletLoss
from ..runtime import processes
from .base import ResumableEngine
from .fastest import chooser
from .precision import MixedPrecision


class Mixup:
    """Mixes each image of a batch with the one before it (Zhang et al., 2018, https://arxiv.org/abs/1710.09412).

    Args:
        alpha: above 0; the share of an image is drawn from Beta(alpha, alpha), one for the batch.
    """

    def __init__(self, alpha: float) -> None:
        self.shares = torch.distributions.Beta(torch.tensor([alpha]), torch.tensor([alpha]))

    def draw(self) -> float:
        """The share that each image keeps of itself."""
        return self.shares.sample().item()

    def __call__(self, batch: Tensor, share: float) -> Tensor:
        """(B, ...) -> the same shape, rows mixed."""
        return batch.roll(1, 0).mul_(1 - share).add_(batch.mul(share))


class ImagePretrainEngine(ResumableEngine, torchreid.engine.ImageTripletEngine):
    """Sum of the branches' cross-entropies + `weight_t` * triplet loss with the nearest positive.

    torchreid's own triplet engine takes the mean over the branches and the farthest positive.

    Args:
        datamanager: with identity pairs (`RandomIdentitySampler`, 2 instances).
        model: a `paul` model built with `loss='triplet'`.
        optimizer, scheduler, use_gpu: as in torchreid's engines.
        margin: of the triplet loss.
        weight_t: of the triplet loss.
        weight_x: of the sum of cross-entropies.
        label_smooth: smooth the labels by 0.1.
        mixup: alpha of Mixup, 0 for none; the triplet loss is mixed in the same proportion.
        amp: `off`, `bf16` or `fp16`, of MixedPrecision, or `auto`: the fastest of these here.

    Example:
        >>> engine = ImagePretrainEngine(datamanager, model, optimizer, scheduler=scheduler)
        >>> engine.run(save_dir='log/pretrain', max_epoch=60)
    """

    def __init__(
        self,
        datamanager: DataManager,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        margin: float = 1.0,
        weight_t: float = 0.1,
        weight_x: float = 1.0,
        scheduler=None,
        use_gpu: bool = True,
        label_smooth: bool = False,
        mixup: float = 0.0,
        amp: str = 'off',
    ) -> None:
        super().__init__(datamanager, model, optimizer, margin, weight_t, weight_x, scheduler, use_gpu)
        self.criterion_t = NearestTripletLoss(margin)
        device = next(model.parameters()).device
        self.precision = MixedPrecision(amp, device, chooser(datamanager, model))
        self.smoothing = 0.1 if label_smooth else 0.0
        self.num_classes = datamanager.num_train_pids
        self.mixup = Mixup(mixup) if mixup > 0 else None

    def way_out(self) -> str:
        return super().way_out() + self.precision.way_out()

    def extra_state(self) -> dict:
        return {'amp': self.precision.state_dict()}

    def load_extra_state(self, checkpoint: dict) -> None:
        self.precision.load_state_dict(checkpoint['amp'])

    def training_step(self, data: dict) -> dict[str, float]:
        images, pids = self.parse_data_for_train(data)
        if self.use_gpu:
            images, pids = images.cuda(), pids.cuda()
        targets, others = pids, pids
        if self.mixup is not None:
            share = self.mixup.draw()
            images = self.mixup(images, share)
            targets = self.mixup(F.one_hot(pids, self.num_classes).float(), share)
            others = pids.roll(1)
        with self.precision.autocast():
            logits, embeddings = self.network(images)
        # From here on it is the whole batch of all processes; mixup has mixed within each one's share.
        logits = [processes.gather_with_grad(branch) for branch in logits]
        embeddings = processes.gather_with_grad(embeddings)
        targets, others, pids = processes.gather(targets), processes.gather(others), processes.gather(pids)
        logits = [branch.float() for branch in logits] if self.precision.dtype else logits
        loss_x = sum(F.cross_entropy(branch, targets, label_smoothing=self.smoothing) for branch in logits)
        loss_t = self.criterion_t(embeddings, pids)
        if self.mixup is not None:
            loss_t = share * loss_t + (1 - share) * self.criterion_t(embeddings, others)
        loss = self.weight_x * loss_x + self.weight_t * loss_t

        self.guard.watch({'loss': loss, 'loss_x': loss_x, 'loss_t': loss_t})
        self.precision.step(loss, self.optimizer)
        right = (logits[0].argmax(1) == pids).float().mean() * 100
        summary = torch.stack([loss.squeeze(), loss_x, loss_t.squeeze(), right]).tolist()
        return dict(zip(('loss', 'loss_x', 'loss_t', 'acc'), summary))
