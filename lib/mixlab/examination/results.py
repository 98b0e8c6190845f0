"""What an answer returned, as text: exactly, and nothing that has to be trusted to be read."""

import base64
import json

import numpy as np

_KINDS = {"b": ("b", "?"), "i": ("i", "<i8"), "u": ("i", "<i8"), "f": ("f", "<f8")}


def to_text(values: list[np.ndarray]) -> str:
    """JSON: for each array its kind (b truth, i whole, f real, U text), its shape, its content.

    Numbers are 64 bits wide, low byte first, row by row, in base64; texts are a list.

    >>> to_text([np.array(1.0), np.array(["a", "b"])])
    '[["f", [], "AAAAAAAA8D8="], ["U", [2], ["a", "b"]]]'
    """
    written = []
    for value in map(np.asarray, values):
        if value.dtype.kind in _KINDS:
            kind, dtype = _KINDS[value.dtype.kind]
            content = base64.b64encode(value.astype(dtype).tobytes()).decode()
        else:
            kind, content = "U", value.astype(str).ravel().tolist()
        written.append([kind, list(value.shape), content])
    return json.dumps(written)
