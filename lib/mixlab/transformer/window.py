"""The window's rule, written down once: query i sees key j when 0 <= i - j < window.

The window counts the token itself, so W = 1 sees only itself and W >= i + 1 is plain causal
attention. Nothing else in the library, its traces and its benchmarks spells the rule: a mask asks
`visible`, a slice of keys `first_visible`, a count of scores `n_visible_pairs`. Two kinds of code
stand apart, and tests hold them to it: kernels of other libraries, which take the window as a
number, and the checks of exercises, which must not trust what they check.

A window may keep the text's first tokens, *sinks*, in the same budget: then query i sees key j when
0 <= i - j < window - sinks or j < sinks, and never more than `window` keys.

Sources: Beltagy et al., "Longformer" (2020), section 3.1, made causal; "Mistral 7B" (2023),
section 2. The paper's text counts W earlier keys, its figures W keys in all: the lesson
sliding_window sets the field's conventions side by side. Sinks: Xiao et al., "Efficient Streaming
Language Models with Attention Sinks" (2023), section 3.2.
"""

from numbers import Integral

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def check_window(window: int | None) -> None:
    """Raise ValueError unless `window` is None (see everything earlier) or at least 1."""
    if window is None:
        return
    if isinstance(window, bool) or not isinstance(window, int):
        raise ValueError(
            f"window must be a whole number of keys or None: got {window!r}. A whole number of "
            "another type becomes one by int(window)"
        )
    if window < 1:
        raise ValueError(
            "window must be at least 1, because a query always sees itself, or None for no "
            f"window: got {window}"
        )


def check_sinks(window: int | None, sinks: int) -> None:
    """Raise ValueError unless `sinks` of the window's keys can be the text's first tokens."""
    if isinstance(sinks, bool) or not isinstance(sinks, int) or sinks < 0:
        raise ValueError(f"sinks must be a whole number of keys, 0 or more: got {sinks!r}")
    if sinks and window is None:
        raise ValueError("without a window every key is kept, so there are no sinks to choose")
    if sinks and sinks >= window:
        raise ValueError(
            "sinks come out of the window's budget, and a query must still see itself: got "
            f"sinks={sinks} for window={window}"
        )


def visible(
    query: Int[Tensor, "*#shape"],
    key: Int[Tensor, "*#shape"],
    window: int | None,
    sinks: int = 0,
) -> Bool[Tensor, "..."]:
    """Whether the query at each position sees the key at each position.

    Args:
        query, key: positions in tokens, broadcast against each other.
        window: keys a query sees, itself included; None for all earlier ones.
        sinks: how many of these are the text's first, kept for good.

    Raises:
        ValueError: if `window` is not None and below 1, or leaves no room beside the sinks.

    >>> visible(torch.tensor(5), torch.arange(8), window=3)
    tensor([False, False, False,  True,  True,  True, False, False])
    >>> visible(torch.tensor(5), torch.arange(8), window=3, sinks=1)
    tensor([ True, False, False, False,  True,  True, False, False])
    """
    check_window(window)
    check_sinks(window, sinks)
    distance = query - key
    seen = distance >= 0
    return seen if window is None else seen & ((distance < window - sinks) | (key < sinks))


def first_visible(query: int, window: int | None) -> int:
    """The oldest position that the query at position `query` sees: where its keys begin.

    Args:
        query: a position in tokens.
        window: keys a query sees, itself included; None for all earlier ones.

    Raises:
        ValueError: if `window` is not None and below 1.

    >>> [first_visible(query, window=3) for query in range(6)]
    [0, 0, 0, 1, 2, 3]
    """
    check_window(window)
    return 0 if window is None else max(0, query - window + 1)


def window_mask(
    n_queries: int,
    n_keys: int | None = None,
    window: int | None = None,
    device: torch.device | str | None = None,
    sinks: int = 0,
) -> Bool[Tensor, "n_queries n_keys"]:
    """The mask of a sliding window: True where the row's query sees the column's key.

    Keys end where queries end: with more keys than queries, the queries are the last ones, as
    when a chunk of a prompt attends to keys already cached.

    Args:
        n_queries: number of query positions.
        n_keys: number of key positions, at least `n_queries`; the same number by default.
        window: keys a query sees, itself included; None for all earlier ones.
        device: where to build the mask.
        sinks: how many of the window's keys are the text's first, which column 0 begins with.

    Raises:
        ValueError: if `window` is below 1, leaves no room beside the sinks, or there are fewer
            keys than queries.

    >>> window_mask(5, window=3).int()
    tensor([[1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [1, 1, 1, 0, 0],
            [0, 1, 1, 1, 0],
            [0, 0, 1, 1, 1]], dtype=torch.int32)
    """
    n_keys = n_queries if n_keys is None else n_keys
    _check_counts(n_queries, n_keys)
    key = torch.arange(n_keys, device=device)
    query = key[n_keys - n_queries :]
    return visible(query[:, None], key[None, :], window, sinks)


def window_mask_loop(
    n_queries: int, n_keys: int | None = None, window: int | None = None
) -> Bool[Tensor, "n_queries n_keys"]:
    """The readable twin of `window_mask`: two loops over the rule, pair by pair.

    >>> bool((window_mask_loop(6, 9, 4) == window_mask(6, 9, 4)).all())
    True
    """
    check_window(window)
    n_keys = n_queries if n_keys is None else n_keys
    _check_counts(n_queries, n_keys)
    mask = torch.zeros(n_queries, n_keys, dtype=torch.bool)
    for row in range(n_queries):
        query = n_keys - n_queries + row
        for key in range(query + 1):
            mask[row, key] = window is None or query - key < window
    return mask


def n_visible_pairs(seq: int, window: int | None) -> int:
    """How many (query, key) pairs a sequence of `seq` tokens has under the rule.

    Causal attention has seq (seq + 1) / 2 pairs; a window leaves about seq * window.

    Raises:
        ValueError: if `window` is below 1, or `seq` is no number of tokens.

    >>> n_visible_pairs(5, window=3) == int(window_mask(5, window=3).sum()) == 12
    True
    """
    check_window(window)
    _check_counts(seq, seq)
    reach = seq if window is None else min(window, seq)
    return reach * (reach + 1) // 2 + (seq - reach) * reach


def _check_counts(n_queries: int, n_keys: int) -> None:
    for name, count in (("queries", n_queries), ("keys", n_keys)):
        if not isinstance(count, Integral) or count < 0:
            raise ValueError(f"the number of {name} must be whole and not negative: got {count!r}")
    if n_keys < n_queries:
        raise ValueError(
            "there must be at least as many keys as queries, because every query sees its own "
            f"key: got {n_queries} queries and {n_keys} keys"
        )
