"""Tables as CSV text, which every file of the kind is written by."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows, the header among them, with `\\n` at the end of each.

    Example:
        >>> csv_text([('file', 'group'), ('a,b.jpg', 1)])
        'file,group\\n"a,b.jpg",1\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()
