"""safetensors files: tensors by name, and texts in the header; a format of weights that others read too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..runtime.errors import import_optional

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = '.safetensors'


def is_safetensors(file: BinaryIO, path: str | Path) -> bool:
    """Whether an open file is of this format: by its first bytes, or by a name that says so."""
    file.seek(0)
    head = file.read(10)
    size = file.seek(0, 2)
    length = int.from_bytes(head[:8], 'little')  # of the header, a JSON text
    return (head[8:] == b'{"' and 2 < length <= size - 8) or Path(path).suffix == SUFFIX


def read_safetensors(path: str | Path) -> dict:
    """What a file holds, as a checkpoint: `state_dict`, and of the header's texts `config`, `metadata` and `adapted`.

    Returns:
        `{'state_dict': name -> tensor, 'config': text, 'metadata': text, 'adapted': bool}`, without the last three
        where a file, such as another program's, does not tell them.

    Raises:
        UserError: if the package safetensors is missing.
        Exception: safetensors' own, if the file is damaged.
    """
    with import_optional('safetensors').safe_open(path, framework='pt') as file:
        texts = file.metadata() or {}
        found = {'state_dict': {name: file.get_tensor(name).clone() for name in file.keys()}}  # noqa: SIM118
    found |= {name: texts[name] for name in ('config', 'metadata') if name in texts}
    if 'adapted' in texts:
        found['adapted'] = texts['adapted'] == 'True'
    return found


def as_safetensors(state: Mapping[str, 'Tensor'], texts: Mapping[str, str]) -> bytes:
    """The bytes of a file with these tensors, and these texts in its header: the same for the same.

    Raises:
        UserError: if the package safetensors is missing.
    """
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    return _in_order(import_optional('safetensors.torch').save(tensors, {'format': 'pt', **texts}))


def _in_order(content: bytes) -> bytes:
    """The file with its texts in order: the package writes them in another one each time.

    The tensors stand in the order of their places, as the package leaves them.
    """
    length = int.from_bytes(content[:8], 'little')
    header = json.loads(content[8 : 8 + length])
    texts = {'__metadata__': dict(sorted(header.pop('__metadata__').items()))}
    ordered = json.dumps(texts | header, separators=(',', ':'), ensure_ascii=False).encode()
    ordered += b' ' * (-len(ordered) % 8)  # tensors begin at a multiple of 8 bytes
    return len(ordered).to_bytes(8, 'little') + ordered + content[8 + length :]
