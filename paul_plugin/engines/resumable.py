"""torchreid's own engines, made resumable."""

from .base import ResumableEngine


def resumable(engine_class: type) -> type:
    """One of torchreid's own engines, resumable."""

    def training_step(self, data: dict) -> dict[str, float]:
        model, self.model = self.model, self.network  # torchreid's step knows no other name
        try:
            return engine_class.forward_backward(self, data)
        finally:
            self.model = model

    return type(engine_class.__name__, (ResumableEngine, engine_class), {'training_step': training_step})
