#!/usr/bin/env bash
# pytorch-metric-learning's AccuracyCalculator makes the ids float32: people whose ids are large and close become one.
# Versions: pytorch-metric-learning 2.9.0. Valid input: int64 ids of two people such as 20261129001, a day and a count.
# Seen: the same ranking has precision_at_1 0 and mAP 0.5 with the ids 1 and 2, and 1 and 1 with 20261129001 and
#   20261129002, without a word. Every id up to 2 ** 24 is kept apart; beyond it not.
# Do: number the people from 0 before (torch.unique(ids, return_inverse=True)[1] of queries and gallery together).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# torch is several GB: the one that is there serves as well, and the script prints which
python3 -c 'import torch' || python3 -m pip install --quiet --target "$folder/packages" torch==2.14.1
python3 -m pip install --quiet --target "$folder/packages" --no-deps pytorch-metric-learning==2.9.0
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 scikit-learn==1.9.1 tqdm==4.70.1
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

# each query finds a crop of the other person first, then one of its own
queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
gallery = torch.tensor([[1.0, 0.1], [1.0, 0.5], [0.1, 1.0], [0.5, 1.0]])
of_queries, of_gallery = torch.tensor([1, 2]), torch.tensor([2, 1, 1, 2])
names = 'precision_at_1', 'mean_average_precision'
nearest = CustomKNN(CosineSimilarity())
calculator = AccuracyCalculator(include=names, device=torch.device('cpu'), knn_func=nearest)


def measured(of_queries, of_gallery):
    found = calculator.get_accuracy(queries, of_queries, gallery, of_gallery)
    return tuple(round(found[name], 4) for name in names)


print('pytorch-metric-learning', version('pytorch-metric-learning'), 'torch', torch.__version__)
found = {}
for first in (0, 2**24 - 2, 20261129000):
    found[first] = measured(of_queries + first, of_gallery + first)
    print(f'ids {first + 1} and {first + 2}: precision at 1 and mAP are {found[first]}')
numbered = torch.unique(torch.cat([of_queries, of_gallery]) + 20261129000, return_inverse=True)[1]
again = measured(numbered[:2], numbered[2:])
print('the last ones numbered from 0:', again)
small, edge, large = found.values()
sys.exit(not (small == edge == again == (0, 0.5) and large == (1, 1)))
PYTHON
