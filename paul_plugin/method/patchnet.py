"""PatchNet: a backbone, M patches of its feature map, and a branch of its own for each patch.

Yang et al., CVPR 2019, section 3.1:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .numbers import check_at_least_1
from .patch_generation import PatchGenerationNetwork, bands, build_patch_source
from .pooling import pool_patches

LOSSES = ('softmax', 'triplet', 'paul')
HEADS = ('classifier', 'embedding')  # parts that training alone needs, the descriptor does not


class PatchBranch(nn.Module):
    """Reduces one patch's C averaged channels to D: the paper's Conv1x1 and BatchNorm, on a 1x1 map."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(channels, dim)
        self.norm = nn.BatchNorm1d(dim)
        nn.init.kaiming_normal_(self.reduction.weight, mode='fan_out')
        nn.init.zeros_(self.reduction.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, C) -> (B, D)."""
        return self.norm(self.reduction(pooled))

    @torch.no_grad()
    def start_as(self, weight: Tensor, bias: Tensor) -> None:
        """Makes it a given linear map: weight (D, C), bias (D,); its BatchNorm passes, in eval mode."""
        self.reduction.weight.copy_(weight)
        self.reduction.bias.copy_(bias)
        self._pass_norm()

    def _pass_norm(self) -> None:
        self.norm.reset_parameters()
        self.norm.running_var.fill_(1 - self.norm.eps)  # by which it is known as one that has measured nothing yet

    @torch.no_grad()
    def keep_distances(self, generator: torch.Generator) -> None:
        """Makes it a random rotation, so that what was near stays near; a projection where D is below C.

        Its weights get orthonormal rows, or columns where D is above C, and its BatchNorm passes, in eval mode.

        Args:
            generator: of the CPU, which the rotation is drawn from.
        """
        weight = self.reduction.weight
        long, short = max(weight.shape), min(weight.shape)
        columns = torch.linalg.qr(torch.randn(long, short, generator=generator, dtype=torch.float64)).Q
        weight.copy_(columns if weight.shape[0] == long else columns.T)
        nn.init.zeros_(self.reduction.bias)
        self._pass_norm()


class PatchNet(nn.Module):
    """PatchNet (paper, section 3.1).

    In eval mode the forward pass returns the descriptor (B, M*D) whatever the loss: the M branch outputs, each
    L2-normalised, concatenated. In training mode it returns, by `loss`:

    - `softmax`: the list of M logits (B, num_classes);
    - `triplet`: that list and the concatenated embeddings (B, M*128);
    - `paul`: the M branch outputs, each L2-normalised, (B, M, D).

    For the first two, the supervised pre-training, a branch ends in ReLU.

    Args:
        backbone: a torchreid model with `featuremaps`: (B, 3, H, W) -> (B, channels, h, w).
        channels: C of the feature map.
        num_classes: identities of the pre-training data.
        loss: `softmax`, `triplet` or `paul`.
        num_patches: M.
        dim: D of a patch feature.
        embedding_dim: length of one branch's embedding.
        patch_source: `pgn` (learned), `stripe`, `band` or `random` (fixed).

    Raises:
        ValueError: for an unknown loss or patch source, or a number below 1.

    Example:
        >>> model = torchreid.models.build_model('paul_resnet18', num_classes=751, loss='paul')
        >>> model(torch.randn(4, 3, 256, 128)).shape
        torch.Size([4, 6, 256])
        >>> model.eval()(torch.randn(4, 3, 256, 128)).shape
        torch.Size([4, 1536])
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        num_classes: int,
        loss: str = 'softmax',
        num_patches: int = 6,
        dim: int = 256,
        embedding_dim: int = 128,
        patch_source: str = 'pgn',
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f'PatchNet: loss must be one of {LOSSES}, got {loss!r}')
        check_at_least_1('PatchNet', num_classes=num_classes, num_patches=num_patches, dim=dim)
        self.loss = loss
        self.num_patches = num_patches
        self.dim = dim
        self.embedding_dim = embedding_dim
        self.feature_dim = num_patches * dim  # torchreid's name for the descriptor's length
        self.backbone = backbone
        self.pgn = build_patch_source(patch_source, channels, num_patches)
        self.branches = nn.ModuleList(PatchBranch(channels, dim) for _ in range(num_patches))
        self.classifier = nn.ModuleList(nn.Linear(dim, num_classes) for _ in range(num_patches))
        self.embedding = nn.ModuleList(nn.Linear(dim, embedding_dim) for _ in range(num_patches))
        for head in self.classifier:
            nn.init.normal_(head.weight, std=0.001)
            nn.init.zeros_(head.bias)
        for head in self.embedding:
            nn.init.kaiming_normal_(head.weight, mode='fan_out')
            nn.init.zeros_(head.bias)

    def keep_distances(self, head: tuple[Tensor, Tensor] | None = None) -> None:
        """Makes a descriptor of what the backbone knows, without training: bands of its map as patches.

        Branches start as the head that the backbone was trained with; without one they keep the distances between
        patches, the same branches whatever the seed of the run. Fixed patches stay. This is no part of the paper,
        whose branches are pre-trained with labels.

        Args:
            head: weight (D, C) and bias (D,) of a linear map of a patch's average.
        """
        if isinstance(self.pgn, PatchGenerationNetwork):
            self.pgn.start_at(bands(self.num_patches))
        generator = torch.Generator().manual_seed(0)
        for branch in self.branches:
            if head is None:
                branch.keep_distances(generator)
            else:
                branch.start_as(*head)

    def patch_features(self, maps: Tensor) -> Tensor:
        """Outputs of the M branches, before ReLU or normalisation: feature map (B, C, h, w) -> (B, M, D).

        At least in float32, whatever the precision of the feature map.
        """
        pooled = pool_patches(maps, self.pgn(maps))
        features = torch.stack([branch(pooled[:, m]) for m, branch in enumerate(self.branches)], 1)
        return features.to(torch.promote_types(features.dtype, torch.float32))

    def embed(self, features: Tensor) -> Tensor:
        """The unsupervised stage's embeddings, as the release has them: (B, M, D) normalised -> (B, M * 128).

        The products of a feature with the L2-normalised rows of its branch's embedding weights, without bias.
        """
        weights = torch.stack([F.normalize(head.weight, dim=1) for head in self.embedding])
        return torch.einsum('bmd,med->bme', features, weights).flatten(1)

    def forward(self, images: Tensor, return_featuremaps: bool = False):
        """
        Args:
            images: (B, 3, H, W), normalised as torchreid does.
            return_featuremaps: return the backbone's feature map (B, C, h, w) instead.
        """
        maps = self.backbone.featuremaps(images)
        if return_featuremaps:
            return maps
        features = self.patch_features(maps)
        if not self.training:
            return F.normalize(features, dim=2).flatten(1)
        if self.loss == 'paul':
            return F.normalize(features, dim=2)
        features = F.relu(features)
        logits = [head(features[:, m]) for m, head in enumerate(self.classifier)]
        if self.loss == 'softmax':
            return logits
        return logits, torch.cat([head(features[:, m]) for m, head in enumerate(self.embedding)], 1)
