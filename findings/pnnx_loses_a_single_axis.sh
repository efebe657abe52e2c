#!/usr/bin/env bash
# pnnx loses the axis of an ONNX reduction over one axis: ncnn then reduces nothing, and nobody says so.
# Versions: pnnx 20261020, ncnn 1.0.20261020, onnx 1.23.2. Valid model: ReduceSum over axis 2 of (1, 6, 4), keepdims.
# Seen: NAME.ncnn.param has `-23303=0`, no axis; ncnn gives the 24 numbers that it was fed where onnx's reference gives
#   six sums. ReduceMean and ReduceL2 lose theirs too. With both axes, [1, 2], all are right.
# Do: compare with another runtime after each conversion; reduce only what has one axis beside the batch, or pass the
#   rows through a MatMul with ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 onnx==1.23.2
python3 -m pip install --quiet --target "$folder/packages" --no-deps pnnx==20261020 ncnn==1.0.20261020 # the converter itself needs no torch
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import ncnn
import numpy as np
import onnx
import onnx.numpy_helper as arrays
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

converter = Path(distribution('pnnx').locate_file('pnnx/pnnx'))
converter.chmod(0o755)
images = np.arange(24, dtype=np.float32).reshape(1, 6, 4)


def by_both(operator, axes):
    """What onnx's reference and ncnn give for it, and its line in ncnn's file."""
    shape = [1, *(1 if axis in axes else size for axis, size in ((1, 6), (2, 4)))]
    node = helper.make_node(operator, ['x', 'axes'], ['y'], keepdims=1)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (('x', [1, 6, 4]), ('y', shape)))
    graph = helper.make_graph([node], 'reduction', [x], [y], [arrays.from_array(np.array(axes), 'axes')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, 'reduction.onnx')
    subprocess.run([converter, 'reduction.onnx'], check=True, capture_output=True)
    line = next(line for line in Path('reduction.ncnn.param').read_text().splitlines() if line.startswith('Reduction'))
    network = ncnn.Net()
    network.load_param('reduction.ncnn.param')
    network.load_model('reduction.ncnn.bin')
    extractor = network.create_extractor()
    # batch_index as in the script that pnnx writes beside it: the first axis is no batch
    extractor.input('in0', ncnn.Mat(images, batch_index=233).clone())
    found = np.array(extractor.extract('out0')[1].numpy(batch_index=233))
    return ReferenceEvaluator(model).run(None, {'x': images})[0].ravel(), found.ravel(), line


print('pnnx', version('pnnx'), 'ncnn', version('ncnn'))
wrong = {}
for operator in ('ReduceSum', 'ReduceMean', 'ReduceL2'):
    for axes in ([2], [1, 2]):
        expected, found, line = by_both(operator, axes)
        wrong[operator, *axes] = expected.shape != found.shape or not np.allclose(expected, found)
        print(f'{operator} {axes}: reference {expected}, ncnn {found}; {" ".join(line.split())}')
sys.exit(not all(is_wrong == (len(axes) == 1) for (_, *axes), is_wrong in wrong.items()))
PYTHON
