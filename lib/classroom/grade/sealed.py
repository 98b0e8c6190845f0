"""Results on their way out of a box: a kernel prints what it can neither read nor make.

An examiner seals what an answer returned with a key that no kernel holds; the kernel's check prints
it, and the referee, outside, opens it and compares number by number, by the exercise's own
tolerance. Each kernel has a mark of its own, so that what another one printed is of no use to it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import zlib

import numpy as np

KINDS = {"b": "?", "i": "<i8", "f": "<f8"}


def seal(results: str, key: bytes, mark: str) -> str:
    """Results, as `mixlab.examination.results` writes them, in letters that tell nothing.

    >>> sealed = seal('[["f", [], "AAAAAAAA8D8="]]', b"key", "kernel 1")
    >>> unseal(sealed, b"key", "kernel 1")
    '[["f", [], "AAAAAAAA8D8="]]'
    """
    hidden = _veil(zlib.compress(results.encode()), key, mark)
    return base64.b64encode(_stamp(hidden, key, mark) + hidden).decode()


def unseal(sealed: str, key: bytes, mark: str) -> str:
    """What was sealed.

    Raises:
        ValueError: if it was not sealed with this key for this kernel.
    """
    try:
        content = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this was never sealed") from None
    stamp, hidden = content[:32], content[32:]
    if not hmac.compare_digest(stamp, _stamp(hidden, key, mark)):
        raise ValueError("this was sealed by nobody, or for another kernel")
    return zlib.decompress(_veil(hidden, key, mark)).decode()


def _veil(content: bytes, key: bytes, mark: str) -> bytes:
    """A stream that depends on key and mark, laid over the content; laid over twice, it's gone."""
    stream = hashlib.shake_256(b"veil" + key + mark.encode()).digest(len(content))
    return (np.frombuffer(content, np.uint8) ^ np.frombuffer(stream, np.uint8)).tobytes()


def _stamp(hidden: bytes, key: bytes, mark: str) -> bytes:
    return hmac.digest(key, b"stamp" + mark.encode() + b"|" + hidden, "sha256")


def agree(got: str, expected: str, atol: float) -> bool:
    """Whether two results are the same as a check sees it: element by element.

    Args:
        got, expected: as `mixlab.examination.results` writes them.
        atol: tolerance of real numbers.
    """
    pairs = _arrays(got), _arrays(expected)
    return len(pairs[0]) == len(pairs[1]) and all(
        _same(one, other, atol) for one, other in zip(*pairs, strict=True)
    )


def _same(got: np.ndarray, expected: np.ndarray, atol: float) -> bool:
    text = got.dtype.kind == "U", expected.dtype.kind == "U"
    if got.shape != expected.shape or text[0] != text[1]:
        return False
    if expected.dtype.kind == "f":
        return bool(np.allclose(got, expected, rtol=0, atol=atol, equal_nan=True))
    return bool((got == expected).all())


def _arrays(results: str) -> list[np.ndarray]:
    found = []
    for kind, shape, content in json.loads(results):
        if kind == "U":
            array = np.array(content, dtype=str)
        else:
            array = np.frombuffer(base64.b64decode(content), KINDS[kind])
        found.append(array.reshape(shape))
    return found
