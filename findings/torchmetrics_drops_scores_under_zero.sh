#!/usr/bin/env bash
# torchmetrics' retrieval metrics take a true match whose score is not over 0 for a false one.
# Versions: torchmetrics 1.9.0. Valid input: float scores of one query's four gallery crops, of which two are matches.
# Seen: by the cosine as it is, RetrievalMAP leaves out a match at -0.2, does not even count it as missed, and gives 1
#   where the AP is 0.8333. By minus the distance it gives 0. 2 + cosine, in the same order, is right. RetrievalMRR,
#   -Precision and -Recall drop such matches too; RetrievalHitRate and -RPrecision do not, so Rank-1 looks right.
# Do: feed scores over 0 in the same order, such as 2 + cosine. Descriptors minus a mean often have cosines under 0,
#   of true matches as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# torch is several GB: the one that is there serves as well, and the script prints which
python3 -c 'import torch' || python3 -m pip install --quiet --target "$folder/packages" torch==2.14.1
python3 -m pip install --quiet --target "$folder/packages" --no-deps torchmetrics==1.9.0 lightning-utilities==0.15.3
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 packaging==26.4 typing-extensions==4.16.0
cd "$folder"
PYTHONPATH="$folder/packages" python3 -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torchmetrics import retrieval

cosines = torch.tensor([0.8, 0.1, -0.2, -0.8])
matches = torch.tensor([True, False, True, False])
query = torch.zeros(4, dtype=torch.long)
scores = {'2 + cosine': 2 + cosines, 'cosine': cosines, 'minus distance': cosines - 1}
metrics = {
    'AP': retrieval.RetrievalMAP(),
    'reciprocal rank': retrieval.RetrievalMRR(),
    'precision of 3': retrieval.RetrievalPrecision(top_k=3),
    'recall of 3': retrieval.RetrievalRecall(top_k=3),
    'hit in 1': retrieval.RetrievalHitRate(top_k=1),
    'R-precision': retrieval.RetrievalRPrecision(),
}
places = matches[cosines.argsort(descending=True)].nonzero().flatten().tolist()
average_precision = sum((found + 1) / (place + 1) for found, place in enumerate(places)) / len(places)
print('torchmetrics', version('torchmetrics'), 'torch', torch.__version__)
print(f'matches at the places {[place + 1 for place in places]} of 4: their AP is {average_precision:.4f}')
found = {}
for name, values in scores.items():
    found[name] = {key: round(metric(values, matches, indexes=query).item(), 4) for key, metric in metrics.items()}
    print(f'{name}: {found[name]}')
right, cosine, minus = found.values()
aps = right['AP'], cosine['AP'], minus['AP']
same = aps == (round(average_precision, 4), 1, 0) and (right['recall of 3'], cosine['recall of 3']) == (1, 0.5)
sys.exit(not (same and right['hit in 1'] == cosine['hit in 1'] == minus['hit in 1'] == 1))
PYTHON
