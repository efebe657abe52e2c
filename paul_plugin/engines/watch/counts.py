"""What is counted in an epoch: the steps that float16 skipped, and the positives of the images."""

from .observer import Observer


class SkippedSteps(Observer):
    """Says how many steps float16 has skipped so far."""

    def after_epoch(self, engine) -> None:
        if engine.precision.skipped:
            print(f'{engine.precision.skipped} steps so far were skipped because float16 overflowed (train.amp fp16)')


class PositivesRecord(Observer):
    """Records how many positives the images had in an epoch, where they are chosen by whole images."""

    def after_epoch(self, engine) -> None:
        engine.history[-1] |= engine.objective.numbers
