"""Mixed precision of a training step: the network in bfloat16 or float16, losses and bank in float32."""

import torch
from torch import Tensor

DTYPES = {'off': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}


class MixedPrecision:
    """Autocast for the forward pass and, for float16, a scaled backward pass.

    Args:
        amp: `off`, `bf16` or `fp16`.
        device: where the model is.

    Raises:
        ValueError: for another `amp`.

    Example:
        >>> precision = MixedPrecision('bf16', images.device)
        >>> with precision.autocast():
        ...     features = model(images)
        >>> precision.step(loss(features.float()), optimizer)
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        if amp not in DTYPES:
            raise ValueError(f'amp must be one of {", ".join(DTYPES)}, got {amp!r}')
        self.dtype = DTYPES[amp]
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == 'fp16')

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Backward pass and the optimizer's step, skipped by the scaler where float16 overflowed."""
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()
