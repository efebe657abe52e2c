#!/usr/bin/env bash
# torchreid's `random_erase` does not fill with the mean of the images: it fills normalised pixels with the mean of
#   pixels that are not normalised, and the network sees a lighter grey.
# Versions: torchreid 0.2.5. Valid input: `build_transforms(256, 128, transforms='random_erase')`, as its scripts call
#   it, on an image of which every pixel has the mean colour of ImageNet, 124, 116, 104 of 255.
# Seen: all pixels that are not erased are 0 within rounding, as normalising makes them. The erased ones are 0.485,
#   0.456 and 0.406, so that erasing changes an image of the mean colour: to 152, 142, 127 of 255, 23 to 28 levels
#   lighter in each channel. The step stands behind the normalisation and gets its `norm_mean`.
# Do: where an erased patch should tell the network nothing, erase with 0: `RandomErasing(mean=[0, 0, 0])`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# torch is several GB: the one that is there serves as well, and the script prints which
python3 -c 'import torch, torchvision' || python3 -m pip install --quiet --target "$folder/packages" torch==2.14.1 torchvision==0.29.1
python3 -m pip install --quiet --target "$folder/packages" --no-deps torchreid==0.2.5 gdown==6.5.1 # its own pins are old
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 scipy==1.17.1 pillow==13.0.0 six==1.17.0 \
  h5py==3.16.0 imageio==2.38.1 opencv-python-headless==5.0.0.93 tensorboard==2.20.0 requests==2.34.2 beautifulsoup4==4.14.3 \
  filelock==3.29.0 tqdm==4.70.1 'setuptools<81'
cd "$folder"
PYTHONPATH="$folder/packages" python3 -W ignore - <<'PYTHON'
import random
from importlib.metadata import version

import numpy as np
import torch
from PIL import Image
from torchreid.reid.data.transforms import build_transforms

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

print('torchreid', version('torchreid'), 'torch', torch.__version__)
transform, _ = build_transforms(256, 128, transforms='random_erase')
picture = Image.fromarray(np.broadcast_to((MEAN * 255).round().byte().numpy(), (256, 128, 3)).copy())
random.seed(0)
seen = torch.stack([transform(picture) for _ in range(20)])  # half of them are erased in part
values = seen.movedim(1, 3).flatten(0, 2).unique(dim=0)
near = values.abs().max(1).values < 0.01  # 124 of 255 is not 0.485 to the last digit
kept, erased = values[near], values[~near]
print('pixels', kept.tolist(), 'erased', erased.tolist())
levels = ((erased[0] * STD + MEAN) * 255).round().int().tolist()
print('the erased colour, of 255:', levels, 'the mean colour:', (MEAN * 255).round().int().tolist())
assert len(kept) == len(erased) == 1
assert torch.allclose(erased[0], MEAN)
assert levels == [152, 142, 127]
PYTHON
echo 'as described'
