"""torchreid's own engines, made resumable."""

from .base import ResumableEngine


def resumable(engine_class: type) -> type:
    """One of torchreid's own engines, resumable."""

    def training_step(self, data: dict) -> dict[str, float]:
        with self.network_as_model():
            return engine_class.forward_backward(self, data)

    return type(engine_class.__name__, (ResumableEngine, engine_class), {'training_step': training_step})
