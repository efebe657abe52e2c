"""What a network computes, as a list of steps: the common form of an ONNX file and of a model of torchreid's."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

COMMUTATIVE = ('add', 'mul')
WEIGHTED = ('conv', 'linear')  # a norm that follows one of them alone is part of the step


@dataclass(eq=False)
class Step:
    """One step of a network.

    Attributes:
        kind: what it does: conv, linear, norm, instance, relu, relu6, sigmoid, add, mul, max, average, mean (of a map),
            or in brackets the type of another ONNX node, which no model here has.
        inputs: the steps that it reads; None is the images.
        name: for a message: of the file's node with its type, or of the model's layer.
        settings: what must be equal in two steps that do the same, such as a stride.
        tensors: of a model, name -> shape of the layer's tensors; of a file, name -> array.
        norm: of a conv or linear, the norm that follows it: in a model its layer's name, in a file its four arrays.
        eps: of a norm, also of the one that follows.
    """

    kind: str
    inputs: 'list[Step | None]'
    name: str
    settings: tuple = ()
    tensors: dict = field(default_factory=dict)
    norm: object = None
    eps: float = 0.0


def in_order(outputs: Iterable[Step], as_written: bool = False) -> list[Step]:
    """The steps that outputs come from, each after what it reads: the order of execution, whatever that of the file.

    Of a sum or a product, which have no first input, the one that comes from fewer steps in a row is first, so two
    descriptions of one network are in one order. Where two inputs come from alike parts their order is of no matter.

    Args:
        outputs: the steps.
        as_written: leave the inputs of a sum or a product in their order, which few programs change.
    """
    ordered = _after_inputs(outputs, lambda step: step.inputs)
    if as_written:
        return ordered
    keys: dict[Step | None, tuple[int, bytes]] = {None: (0, b'')}
    for step in ordered:
        keys[step] = _key(step, keys)

    def inputs_of(step: Step) -> 'list[Step | None]':
        return sorted(step.inputs, key=keys.__getitem__) if step.kind in COMMUTATIVE else step.inputs

    return _after_inputs(outputs, inputs_of)


def _after_inputs(outputs: Iterable[Step], inputs_of: 'Callable[[Step], list[Step | None]]') -> list[Step]:
    """The steps that outputs come from, each after its inputs, of which the first with all before it comes first."""
    done: dict[Step | None, None] = {None: None}  # in this order
    waiting = list(outputs)[::-1]
    while waiting:
        step = waiting[-1]
        missing = next((read for read in inputs_of(step) if read not in done), None)
        if missing is not None:
            waiting.append(missing)
        else:
            done[waiting.pop()] = None
    return [step for step in done if step is not None]


def _key(step: Step, keys: dict[Step | None, tuple[int, bytes]]) -> tuple[int, bytes]:
    """How many steps in a row lead to a step, itself counted, and a digest of their kinds."""
    before = [keys[read] for read in step.inputs]
    if step.kind in COMMUTATIVE:
        before.sort()
    digest = hashlib.blake2b(step.kind.encode() + b'\0' + b''.join(key for _, key in before), digest_size=16)
    return 1 + max((depth for depth, _ in before), default=0), digest.digest()


def inputs_in_order(step: Step, places: dict[Step | None, int]) -> list[int]:
    """Where the inputs of a step stand in the order; those of a sum or a product by their places."""
    found = [places[read] for read in step.inputs]
    return sorted(found) if step.kind in COMMUTATIVE else found
