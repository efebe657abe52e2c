"""What a ranking found, for other programs: a row each query and gallery image, as JSON or as CSV."""

import json
from collections.abc import Sequence

from ..figures.ranking import Ranked
from ..runtime.csv_text import csv_text

COLUMNS = ('query', 'rank', 'file', 'distance', 'known')


def rows_of(found: Sequence[Ranked]) -> list[dict[str, object]]:
    """A row each: query and file as they were given, rank from 1 on, and whether the threshold knows it, if any."""
    rows = []
    for each in found:
        known: Sequence[bool | None] = each.known or [None] * len(each.gallery)
        for place, (file, distance) in enumerate(zip(each.gallery, each.distances)):
            rows.append(dict(zip(COLUMNS, (each.query, place + 1, file, distance, known[place]))))
    return rows


def as_json(found: Sequence[Ranked]) -> bytes:
    """A list of objects; `known` is null without a threshold."""
    return json.dumps(rows_of(found), indent=1).encode()


def as_csv(found: Sequence[Ranked]) -> bytes:
    """A table with a header; `known` is true, false or, without a threshold, empty. A name's bytes stay as they are."""
    rows = ([*told, '' if known is None else str(known).lower()] for *told, known in map(dict.values, rows_of(found)))
    return csv_text([COLUMNS, *rows]).encode(errors='surrogateescape')
