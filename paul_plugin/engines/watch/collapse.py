"""The alarm of a collapse: all descriptors in the memory bank become alike."""

from ...method.memory import mean_cosine
from .observer import Observer


class CollapseAlarm(Observer):
    """Records the mean cosine between the descriptors in the memory bank, and warns of a collapse.

    Args:
        most: the mean cosine over which a warning is printed, 1 for none.
    """

    def __init__(self, most: float = 0.5) -> None:
        self.most = most

    def after_epoch(self, engine) -> None:
        memory = engine.memory
        cosine = mean_cosine(memory.bank, memory.filled, memory.shard is not None)
        engine.history[-1]['cosine'] = cosine
        if cosine > self.most:
            print(
                f'warning: collapse: the descriptors in the memory bank have a mean cosine of {cosine:.3f}, more than '
                f'{self.most} (paul.collapse_cosine): lower train.lr or paul.weight_ipfl, raise paul.scale, '
                'check that the pre-trained weights are those of this model, or go back to an earlier checkpoint'
            )
