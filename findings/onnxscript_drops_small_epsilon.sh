#!/usr/bin/env bash
# onnxscript's optimizer, which torch.onnx.export runs, takes an added constant of at most 1e-8 for 0 and removes it.
# Versions: onnxscript 0.7.2, onnx 1.23.2. Valid model: a row divided by sqrt(sum of its squares + 1e-12).
# Seen: the optimized graph has no Add; a row of zeros gives nan where the model before gives 0. With 1e-6 it is kept.
# Do: bound the root from below (Max or Clip, in torch clamp_min) instead of adding a small number under it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" onnx==1.23.2 onnxscript==0.7.2
PYTHONPATH="$folder/packages" python3 -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx.numpy_helper as arrays
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator
from onnxscript import optimizer


def normalising(epsilon):
    nodes = [
        helper.make_node('Mul', ['x', 'x'], ['squares']),
        helper.make_node('ReduceSum', ['squares', 'axis'], ['sum'], keepdims=1),
        helper.make_node('Add', ['sum', 'epsilon'], ['bounded']),
        helper.make_node('Sqrt', ['bounded'], ['norm']),
        helper.make_node('Div', ['x', 'norm'], ['y']),
    ]
    constants = [arrays.from_array(np.array([1]), 'axis'), arrays.from_array(np.array(epsilon, np.float32), 'epsilon')]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in 'xy')
    graph = helper.make_graph(nodes, 'normalising', [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10)


rows = np.array([[3, 4, 0], [0, 0, 0]], np.float32)
print('onnxscript', version('onnxscript'), 'onnx', version('onnx'))
found = {}
for epsilon in (1e-12, 1e-8, 1e-6):
    before = normalising(epsilon)
    checker.check_model(before, full_check=True)
    after = optimizer.optimize(before)
    with np.errstate(all='ignore'):
        zeros = [ReferenceEvaluator(model).run(None, {'x': rows})[0][1] for model in (before, after)]
    found[epsilon] = 'Add' in [node.op_type for node in after.graph.node], np.isnan(zeros[1]).all()
    print(f'{epsilon:g}: Add is kept: {found[epsilon][0]}; a row of zeros: before {zeros[0]}, after {zeros[1]}')
    assert not zeros[0].any()
sys.exit(found != {1e-12: (False, True), 1e-8: (False, True), 1e-6: (True, False)})
PYTHON
