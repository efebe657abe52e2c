"""Mixed precision of a training step: the network in bfloat16 or float16, losses and bank in float32."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..runtime.errors import UserError

DTYPES = {'off': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}  # the most exact first
AUTO = 'auto'  # the fastest of them


class MixedPrecision:
    """Autocast for the forward pass and, for float16, a scaled backward pass.

    Args:
        amp: `off`, `bf16` or `fp16`; with `choose`, also `auto`.
        device: where the model is.
        choose: gives the precision of `auto`, when the first forward pass needs it and no checkpoint has told it.

    Raises:
        ValueError: for another `amp`.

    Example:
        >>> precision = MixedPrecision('bf16', images.device)
        >>> with precision.autocast():
        ...     features = model(images)
        >>> precision.step(loss(features.float()), optimizer)
    """

    def __init__(self, amp: str, device: torch.device, choose: Callable[[], str] | None = None) -> None:
        self.choose = choose
        self.device = device
        self.skipped = 0  # steps
        self.is_auto = amp == AUTO
        self._take(amp)

    def _take(self, amp: str) -> None:
        names = (*DTYPES, *([AUTO] if self.choose else []))
        if amp not in names:
            raise ValueError(f'amp must be one of {", ".join(names)}, got {amp!r}')
        self.amp = amp
        self.dtype = DTYPES.get(amp)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=amp == 'fp16')

    def settle(self) -> None:
        """Chooses the precision of `auto`, unless that is done."""
        if self.amp == AUTO:
            self._take(self.choose())

    def autocast(self) -> torch.autocast:
        self.settle()
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def way_out(self) -> str:
        """What more than a lower rate helps against numbers that are not finite, to end a sentence; '' for nothing."""
        return ', or set train.amp off' if self.dtype is not None else ''

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Backward pass and the optimizer's step, skipped and counted where the gradients of float16 overflowed.

        Raises:
            UserError: if they still do at a loss scale below 1, which no overflow explains.
        """
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        scale = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.scaler.get_scale() < scale:
            self.skipped += 1
            if scale < 1:
                raise UserError(
                    f'the gradients are not finite at a loss scale of {scale}: set train.amp bf16 or off, '
                    'or lower train.lr'
                )

    def state_dict(self) -> dict:
        """The scaler's state, the number of skipped steps, and the precision, `auto` until it is chosen."""
        return {'scaler': self.scaler.state_dict(), 'skipped': self.skipped, 'amp': self.amp}

    def load_state_dict(self, state: dict) -> None:
        """Takes `state_dict` back; of the precision only with `auto`, where one that is chosen stays."""
        if self.is_auto:
            chosen = state.get('amp', AUTO)
            self._take(self.amp if chosen == AUTO else chosen)
        self.skipped = state['skipped']
        if state['scaler']:  # empty of a run without float16
            self.scaler.load_state_dict(state['scaler'])
