"""The objective of the unsupervised stage: PEDAL and IPFL, weighted, with the memory that they read.

Yang et al., CVPR 2019, section 3.4:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..runtime import processes
from .camera_pedal import CameraPEDALLoss
from .centroid_ipfl import CentroidIPFL
from .ipfl import DescriptorIPFL
from .memory import PatchMemory
from .mutual_neighbours import MutualNeighbours, Shown, numbers_of_positives
from .mutual_pedal import MutualPEDALLoss
from .pedal import PEDALLoss
from .reciprocal_neighbours import ReciprocalNeighbours
from .similarity import by_patch


class PAULObjective(nn.Module):
    """`weight_ipfl * IPFL + weight_pedal * PEDAL`, and the memory bank's update before each.

    Args:
        memory: the patch memory bank.
        pedal: any of the three PEDALs.
        ipfl: the paper's or the release's; it is asked only where there are surrogates.
        weight_pedal, weight_ipfl: lambda and 1 in the paper.
        compared: of SIMILARITIES, what PEDAL compares and the bank keeps.
        choose: for MutualPEDALLoss, what chooses the positives; None for the other two.

    Attributes:
        positives: (N, C, k) int64, what was chosen last; None before, and where nothing chooses.
        numbers: what `numbers_of_positives` says of them; {} without.

    Example:
        >>> objective = PAULObjective(PatchMemory(100, 6, 256), PEDALLoss(k=10), DescriptorIPFL(r=3))
        >>> features = torch.nn.functional.normalize(torch.randn(16, 6, 256), dim=2).requires_grad_()
        >>> objective.memory.update(torch.arange(100), torch.nn.functional.normalize(torch.randn(100, 6, 256), dim=2))
        >>> losses, shares = objective(features[:8], features[8:], rows=torch.arange(8))
        >>> losses['loss'].backward()
    """

    positives: Tensor | None

    def __init__(
        self,
        memory: PatchMemory,
        pedal: PEDALLoss | CameraPEDALLoss | MutualPEDALLoss,
        ipfl: DescriptorIPFL | CentroidIPFL,
        weight_pedal: float = 2.0,
        weight_ipfl: float = 1.0,
        compared: Callable[[Tensor], Tensor] = by_patch,
        choose: MutualNeighbours | ReciprocalNeighbours | None = None,
    ) -> None:
        super().__init__()
        self.memory = memory
        self.pedal = pedal
        self.ipfl = ipfl
        self.weight_pedal = weight_pedal
        self.weight_ipfl = weight_ipfl
        self.compared = compared
        self.choose = choose
        self.register_buffer('positives', None)
        self.numbers: dict[str, float] = {}

    def forward(
        self, real: Tensor, surrogate: Tensor | None, rows: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A step's losses; the bank takes the images first.

        With several processes all call it, each with its share of the batch: PEDAL is the mean over that share, IPFL
        that of all images on every process; the average of the gradients is that of the whole batch's loss.

        Args:
            real: (B, M, D), patch features of the real images, L2-normalised per patch.
            surrogate: (B, M, D), those of their surrogates; None without.
            rows: (B,) int64, the images' rows in the bank.

        Returns:
            The losses, () each: `loss`, which is to be lowered, `pedal` and, with surrogates, `ipfl`. The shares:
            `mined` with surrogates, the anchors that have a negative, and `recall`, the bank's.
        """
        all_rows, all_real = processes.gather(rows), processes.gather_with_grad(real)
        old = self.memory.read(all_rows)[:, processes.own(len(rows))].transpose(0, 1)
        self.memory.update(all_rows, self.compared(all_real))
        chosen = [] if self.positives is None else [self.positives[rows]]
        pedal, recall = self.pedal.loss_and_recall(self.compared(real), self.memory.here, rows, old, *chosen)
        loss, losses, shares = self.weight_pedal * pedal, {'pedal': pedal}, {}
        if surrogate is not None:
            losses['ipfl'], shares['mined'] = self.ipfl(all_real, processes.gather_with_grad(surrogate), all_rows)
            loss = self.weight_ipfl * losses['ipfl'] + loss
        return {'loss': loss, **losses}, {**shares, 'recall': recall}

    @torch.no_grad()
    def choose_positives(self, shown: Shown = iter) -> None:
        """Chooses each image's positives from the memory bank, the first process for all; all call it.

        Args:
            shown: as what chooses takes it.
        """
        if self.choose is None:
            return
        bank = self.memory.gathered_state().get('bank')
        chosen = None if bank is None else self.choose(bank.transpose(0, 1).flatten(1), shown).cpu()
        self.take_positives(processes.from_first(chosen))

    def take_positives(self, chosen: Tensor | None) -> None:
        """Takes these positives, (N, C, k), of any integers, and counts them."""
        self.positives = None if chosen is None else chosen.to(self.memory.bank.device, torch.int64)
        self.numbers = {} if chosen is None else numbers_of_positives(self.positives, self.choose.spans)

    def gathered_state(self) -> dict:
        """What a checkpoint holds of it, whatever the number of processes; all call it."""
        # Where in the rows a camera ends, no digest of the images tells.
        spans = getattr(self.pedal, 'spans', None)
        state = {'memory': self.memory.gathered_state(), **({} if spans is None else {'cameras': spans})}
        if self.positives is not None:
            state['positives'] = self.positives.to('cpu', torch.int32)
        return {**state, **self.ipfl.gathered_state()}

    def load_whole(self, checkpoint: Mapping, within_epoch: bool) -> None:
        """Restores what `gathered_state` returned.

        Args:
            checkpoint: which holds it among other things.
            within_epoch: whether it was saved within an epoch, whose positives it then must hold.

        Raises:
            ValueError: if it is of images of other cameras.
            KeyError: if something is missing.
        """
        spans = getattr(self.pedal, 'spans', None)
        if checkpoint.get('cameras', spans) != spans:
            raise ValueError('it is of training images of other cameras')
        self.memory.load_whole(checkpoint['memory'])
        if self.choose is not None:
            # Before the first epoch there are none; within one they must be the ones that it began with.
            self.take_positives(checkpoint['positives'] if within_epoch else checkpoint.get('positives'))
        self.ipfl.load_whole(checkpoint)
