#!/usr/bin/env bash
# OpenCV 4's dnn ignores `start` and `end` of ONNX's Shape (opset 15): it gives all sizes where one is asked for.
# Versions: opencv-python-headless 4.14.0.94, onnx 1.23.2. Valid model: the sizes of x from 0 to 1, that is the batch,
#   put before [6, 4], to which a constant (1, 6, 4) is expanded and added: what torch's exporter writes for `expand`.
# Seen: for x of (1, 6, 4) it gives (1, 6, 4, 6, 4) without a word; onnx's reference and the model say (1, 6, 4).
#   A batch of 3 fails in NaryEltwise. opencv-python-headless 5.0.0.93 is right for both, in either engine.
# Do: export with a fixed batch, from which the exporter computes the sizes itself, or take OpenCV 5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" opencv-python-headless==4.14.0.94 onnx==1.23.2 numpy==2.4.6
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx.numpy_helper as arrays
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

nodes = [
    helper.make_node('Shape', ['x'], ['batch'], start=0, end=1),
    helper.make_node('Concat', ['batch', 'rest'], ['sizes'], axis=0),
    helper.make_node('Expand', ['constant', 'sizes'], ['expanded']),
    helper.make_node('Add', ['x', 'expanded'], ['y']),
]
constants = [
    arrays.from_array(np.array([6, 4]), 'rest'),
    arrays.from_array(np.ones((1, 6, 4), np.float32), 'constant'),
]
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', 6, 4]) for name in 'xy')
graph = helper.make_graph(nodes, 'expand', [x], [y], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
checker.check_model(model, full_check=True)
images = np.zeros((1, 6, 4), np.float32)
expected = ReferenceEvaluator(model).run(None, {'x': images})[0]
network = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
network.setInput(images)
found = network.forward()
print('opencv', cv2.__version__, 'gives', found.shape, "onnx's reference", expected.shape)
sys.exit((found.shape, expected.shape) != ((1, 6, 4, 6, 4), (1, 6, 4)))
PYTHON
