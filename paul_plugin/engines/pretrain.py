"""The supervised pre-training of PatchNet, as the release has it, on torchreid's triplet engine."""

import torch
import torchreid
from torch.nn import functional as F
from torchvision.transforms import v2

from ..method.triplet import NearestTripletLoss
from ..runtime import processes
from .base import ResumableEngine
from .precision import MixedPrecision


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
        mixup: alpha of mixup (Zhang et al., 2018), 0 for none; the triplet loss is mixed in the same proportion.
        amp: `off`, `bf16` or `fp16`, of MixedPrecision.

    Example:
        >>> engine = ImagePretrainEngine(datamanager, model, optimizer, scheduler=scheduler)
        >>> engine.run(save_dir='log/pretrain', max_epoch=60)
    """

    def __init__(
        self,
        datamanager,
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
        self.precision = MixedPrecision(amp, next(model.parameters()).device)
        self.smoothing = 0.1 if label_smooth else 0.0
        self.mixup = v2.MixUp(alpha=mixup, num_classes=datamanager.num_train_pids) if mixup > 0 else None

    def extra_state(self) -> dict:
        return {'amp': self.precision.state_dict()}

    def load_extra_state(self, checkpoint: dict) -> None:
        self.precision.load_state_dict(checkpoint['amp'])

    def training_step(self, data: dict) -> dict[str, float]:
        images, pids = self.parse_data_for_train(data)
        if self.use_gpu:
            images, pids = images.cuda(), pids.cuda()
        targets, others, share = pids, pids, 1.0
        if self.mixup is not None:
            images, targets = self.mixup(images, pids)
            others = pids.roll(1)  # whom torchvision mixes an image with
            share = targets.gather(1, pids[:, None])[others != pids].flatten()[:1]
            share = share if len(share) else 1.0
        with self.precision.autocast():
            logits, embeddings = self.model(images)
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

        self.watch({'loss': loss, 'loss_x': loss_x, 'loss_t': loss_t})
        self.precision.step(loss, self.optimizer)
        right = (logits[0].argmax(1) == pids).float().mean() * 100
        summary = torch.stack([loss.squeeze(), loss_x, loss_t.squeeze(), right]).tolist()
        return dict(zip(('loss', 'loss_x', 'loss_t', 'acc'), summary))
