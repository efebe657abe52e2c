"""Our implementation, in the shape of the straightforward one."""

import torch
from torch import Tensor
from torch.nn import functional as F

from paul_plugin.method.ipfl import IPFLLoss
from paul_plugin.method.memory import PatchMemory
from paul_plugin.method.miner import CyclicRankingMiner
from paul_plugin.method.pedal import PEDALLoss

from .sizes import MARGIN, K, R, S


def unit_features(*shape: int, device: torch.device | str) -> Tensor:
    """Random features of length 1."""
    return F.normalize(torch.randn(*shape, device=device), dim=-1)


def filled_memory(bank: Tensor) -> PatchMemory:
    """A memory that holds a (M, N, D) bank."""
    patches, images, dim = bank.shape
    memory = PatchMemory(images, patches, dim).to(bank.device)
    memory.bank.copy_(bank)
    memory.filled.fill_(True)
    return memory


def our_pedal(memory: PatchMemory, features: Tensor, rows: Tensor) -> Tensor:
    """PEDAL of (B, M, D) features after the bank took them."""
    memory.update(rows, features)
    return PEDALLoss(K, S)(features, memory.bank, rows)


def our_ipfl(anchors: Tensor, positives: Tensor) -> Tensor:
    """IPFL of (B, M * D) descriptors, with the negatives that cyclic ranking mines among the anchors."""
    negatives = CyclicRankingMiner(R)(anchors)
    chosen = anchors.index_select(0, negatives.clamp(min=0))
    return IPFLLoss(MARGIN)(anchors, positives, chosen, valid=negatives >= 0)
