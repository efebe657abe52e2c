"""The formats that an exported network is written in and read back from: ONNX, torch.export and TorchScript."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from ..runtime.errors import UserError, import_optional

Describe = Callable[[Tensor], Tensor]  # (B, 3, H, W) -> (B, E)


KEY = 'paul'  # of the metadata: ultralytics makes each of an ONNX file's an attribute, which may be none of its own
_OLD_KEY = 'metadata'  # which was one


def _shapes(fixed: bool) -> tuple[dict] | None:
    return None if fixed else ({0: torch.export.Dim('batch')},)


def write_onnx(
    network: nn.Module,
    images: Tensor,
    metadata: str,
    file: BinaryIO,
    fixed: bool = False,
    opset: int | None = None,
) -> None:
    """Writes it in this opset, or in the one that the installed exporter takes by itself."""
    program = torch.onnx.export(
        network,
        (images,),
        dynamic_shapes=_shapes(fixed),
        dynamo=True,
        input_names=['images'],
        output_names=['descriptors'],
        verbose=False,
        opset_version=opset,
    )
    model = program.model_proto
    found = next(part.version for part in model.opset_import if not part.domain)
    if opset not in (None, found):  # the exporter only warns where it cannot convert
        raise UserError(f'--opset {opset}: the installed exporter gives {found} for this network: name that, or none')
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField('metadata_props')  # where each comes from in torch: as long as the weights of a small model
    model.metadata_props.add(key=KEY, value=metadata)
    file.write(model.SerializeToString())  # one file, up to 2 GB


def read_onnx(file: Path | bytes) -> tuple[Describe, str]:
    """The network of a file, or of its bytes, in onnxruntime with torch's number of threads; its metadata."""
    onnxruntime = import_optional('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    source = file if isinstance(file, bytes) else str(file)
    session = onnxruntime.InferenceSession(source, options, providers=['CPUExecutionProvider'])

    def describe(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(['descriptors'], {'images': images.numpy()})[0])

    texts = session.get_modelmeta().custom_metadata_map
    return describe, texts[KEY] if KEY in texts else texts[_OLD_KEY]


def _write_program(
    network: nn.Module, images: Tensor, metadata: str, file: BinaryIO, fixed: bool = False
) -> None:
    program = torch.export.export(network, (images,), dynamic_shapes=_shapes(fixed))
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop('stack_trace', None)  # names this machine's folders
    whole = io.BytesIO()  # torch's own writer ends the process (SIGABRT) where a file cannot be written: a full disk
    torch.export.save(program, whole, extra_files={KEY: metadata})
    file.write(whole.getbuffer())


def _read_program(path: Path) -> tuple[Describe, str]:
    extra = {KEY: '', _OLD_KEY: ''}
    with open(path, 'rb') as file:
        program = torch.export.load(file, extra_files=extra)
    return program.module(), _text_of(extra)


def _write_torchscript(
    network: nn.Module, images: Tensor, metadata: str, file: BinaryIO, fixed: bool = False
) -> None:
    traced = torch.jit.freeze(torch.jit.trace(network, images, check_trace=False))  # `export` checks more
    torch.jit.save(traced, file, _extra_files={KEY: metadata})


def _read_torchscript(path: Path) -> tuple[Describe, str]:
    extra = {KEY: '', _OLD_KEY: ''}
    return torch.jit.load(path, _extra_files=extra), _text_of(extra)


def _text_of(extra: dict[str, str | bytes]) -> str:
    text = extra[KEY] or extra[_OLD_KEY]
    return text if isinstance(text, str) else text.decode()


class Format(NamedTuple):
    """One format of a file.

    Attributes:
        write: (network, images that it is shown, metadata, file, whether their number is fixed) -> None; ONNX's takes
            an opset too.
        read: path -> the network in the format's own runtime, metadata.
        packages: what it needs beside torch.
    """

    write: Callable[..., None]
    read: Callable[[Path], tuple[Describe, str]]
    packages: tuple[str, ...] = ()


FORMATS = {
    '.onnx': Format(write_onnx, read_onnx, ('onnx', 'onnxscript', 'onnxruntime')),
    '.pt2': Format(_write_program, _read_program),
    '.torchscript': Format(_write_torchscript, _read_torchscript),
}
