#!/usr/bin/env bash
# A faiss index of Hugging Face's datasets gives squared L2 as its scores, and the smallest is the best.
# Versions: datasets 5.2.0, faiss-cpu 1.15.1. Valid data: three vectors of two numbers.
# Seen: get_nearest_examples gives the score 25 for two points that are 5 apart; with METRIC_INNER_PRODUCT the scores are
#   products, the largest first, and a longer vector of another direction comes before the query's own copy.
# Do: take the square root for a distance; for cosine normalise rows and query, then METRIC_INNER_PRODUCT, the more the
#   better (or 1 - score / 2 of the squared L2 of rows of length 1).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" datasets==5.2.0 faiss-cpu==1.15.1
cd "$folder"
HF_HOME="$folder" HF_HUB_OFFLINE=1 PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys

import datasets
import faiss
import numpy as np

rows = {'path': ['itself', 'five away', 'longer'], 'vector': [[1.0, 0.0], [4.0, 4.0], [6.0, 6.0]]}
query = np.array([1, 0], np.float32)
print('datasets', datasets.__version__, 'faiss', faiss.__version__, 'query', query)
found = {}
for name, metric in (('as it is', None), ('inner product', faiss.METRIC_INNER_PRODUCT)):
    data = datasets.Dataset.from_dict(rows)
    data.add_faiss_index('vector', metric_type=metric)
    scores, examples = data.get_nearest_examples('vector', query, k=3)
    found[name] = dict(zip(examples['path'], scores.tolist(), strict=True))
    print(f'{name}:', found[name])
same = found['as it is'] == {'itself': 0, 'five away': 25, 'longer': 61}
sys.exit(not (same and list(found['inner product'].items()) == [('longer', 6), ('five away', 4), ('itself', 1)]))
PYTHON
