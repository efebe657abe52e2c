#!/usr/bin/env bash
# ultralytics makes each metadata entry of an ONNX file an attribute of its backend, whatever of its own it replaces.
# Versions: ultralytics 8.4.190, onnxruntime 1.24.3, onnx 1.23.2. Valid file: a ReID encoder with one entry, `metadata`.
# Seen: ReID(file), which a tracker's `with_reid: True` and `model: file` call, ends in AttributeError, 'str' object has
#   no attribute 'get'; with the same text under another key it describes.
# Do: keep your own metadata under one key that is a name of your project.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# torch is several GB: the one that is there serves as well, and the script prints which
python3 -c 'import torch, torchvision' || python3 -m pip install --quiet --target "$folder/packages" torch==2.14.1 torchvision==0.29.1
python3 -m pip install --quiet --target "$folder/packages" --no-deps ultralytics==8.4.190 ultralytics-thop==2.2.3 \
  ultralytics-platform==0.1.99 polars==2.1.0 polars-runtime-32==2.1.0 psutil==7.2.2 lapx==0.11.1
python3 -m pip install --quiet --target "$folder/packages" onnx==1.23.2 onnxruntime==1.24.3 matplotlib==3.11.2 requests==2.34.2 \
  opencv-python-headless==5.0.0.93 pillow==13.0.0 pyyaml==6.0.4 numpy==2.4.6
cd "$folder"
YOLO_CONFIG_DIR="$folder" YOLO_OFFLINE=true YOLO_AUTOINSTALL=false PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from ultralytics.trackers.utils.reid import ReID

def write(path, key):
    """An encoder whose descriptor is the mean of each channel of what it is fed."""
    images = helper.make_tensor_value_info('images', TensorProto.FLOAT, ['batch', 3, 64, 32])
    means = helper.make_tensor_value_info('means', TensorProto.FLOAT, ['batch', 3])
    axes = helper.make_tensor('axes', TensorProto.INT64, [2], [2, 3])
    node = helper.make_node('ReduceMean', ['images', 'axes'], ['means'], keepdims=0)
    graph = helper.make_graph([node], 'means', [images], [means], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    model.metadata_props.add(key=key, value='what the file tells about itself')
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


print('ultralytics', version('ultralytics'), 'torch', torch.__version__, 'onnxruntime', version('onnxruntime'))
frame = np.full((64, 64, 3), 255, np.uint8)
box = np.array([[32, 32, 32, 64]], np.float32)  # centre, width, height
found = {}
for key in ('metadata', 'my_project'):
    write(f'{key}.onnx', key)
    try:
        found[key] = ReID(f'{key}.onnx', device='cpu')(frame, box)[0].shape
    except AttributeError as error:
        found[key] = f'AttributeError: {error}'
    print(f'{key}: {found[key]}')
sys.exit(found != {'metadata': "AttributeError: 'str' object has no attribute 'get'", 'my_project': (3,)})
PYTHON
