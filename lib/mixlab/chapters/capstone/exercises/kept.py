"""20.2 Predict the memory: bytes that a hybrid keeps of several texts."""

from collections import Counter

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count

KINDS = ("all", "window", "scan")


def draw(rng):
    """Stacks of 1 to 12 layers, one kind alone among them, and more than 32 bits count."""
    drawn = [(["all"] * 4 + ["scan"] * 28, [262_144, 9], 4096, 4096, 573_440)]
    drawn += [([kind] * 3, [7, 5000], 64, 512, 3000) for kind in KINDS]
    for _ in range(8):
        layers = [KINDS[i] for i in rng.integers(0, 3, size=int(rng.integers(1, 13)))]
        texts = rng.integers(1, 9000, size=int(rng.integers(1, 5))).tolist()
        window, token, state = (int(rng.integers(1, most)) for most in (5000, 5000, 900_000))
        drawn.append((layers, texts, window, token, state))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (["window"], [9], 4, 10, 7),
        (["scan", "scan"], [9, 2], 4, 10, 7),
        (["all", "window", "scan"], [9, 3, 1], 4, 10, 7),
        (["scan", "all"], [2], 4, 10, 700),
    ),
    hints=(
        "Take one layer and one text. Which of the three kinds asks how long the text is? Which "
        "asks only up to a point?",
        "Every text has its own ring and its own state, in every layer.",
        "Add up, over layers and texts: token_bytes * n, token_bytes * min(n, window), or "
        "state_bytes.",
    ),
)

# --- kept back while grading ---


def one(kind, n, window, token, state):
    return {"all": n * token, "window": min(n, window) * token, "scan": state}[kind]


def kept(layers, texts, *sizes, one=one):
    return sum(one(kind, n, *sizes) for kind in layers for n in texts)


def by_kinds(layers, texts, window, token, state):
    count = Counter(layers)
    capped = sum(n if n < window else window for n in texts)
    tokens = count["all"] * sum(texts) + count["window"] * capped
    return tokens * token + count["scan"] * state * len(texts)


def taking(**changed):
    """Another idea of what one layer keeps of one text, for some kinds."""

    def idea(kind, n, window, token, state):
        return changed.get(kind, lambda *_: one(kind, n, window, token, state))(
            n, window, token, state
        )

    return lambda *given: kept(*given, one=idea)


def once(layers, texts, window, token, state):
    rest = [kind for kind in layers if kind != "scan"]
    return kept(rest, texts, window, token, state)


MISTAKES = {
    "you let a state grow with its text. It has one size, however long that is.": (
        taking(scan=lambda n, w, b, s: n * s),
        taking(scan=lambda n, w, b, s: min(n, w) * s),
    ),
    "you count a state like a cache, by tokens.": (
        taking(scan=lambda n, w, b, s: n * b),
        taking(scan=lambda n, w, b, s: min(n, w) * b),
    ),
    "you keep a state beside a cache in layers that only attend.": (
        taking(all=lambda n, w, b, s: n * b + s),
        taking(window=lambda n, w, b, s: min(n, w) * b + s),
        taking(all=lambda n, w, b, s: n * b + s, window=lambda n, w, b, s: min(n, w) * b + s),
    ),
    "your windows have no effect: such a layer keeps at most that many tokens.": taking(
        window=lambda n, w, b, s: n * b
    ),
    "you cut layers without a window, too.": taking(all=lambda n, w, b, s: min(n, w) * b),
    "you count a window's whole ring, also the slots that a short text leaves empty.": taking(
        window=lambda n, w, b, s: w * b
    ),
    "you keep W − 1 tokens in a full window. The newest one's own key is in it too.": taking(
        window=lambda n, w, b, s: min(n, w - 1) * b
    ),
    "you keep one state for all texts. They don't know of one another.": (
        lambda layers, texts, w, b, s: once(layers, texts, w, b, s) + layers.count("scan") * s
    ),
    "you keep one state for all layers: each scan has its own.": (
        lambda layers, texts, w, b, s: (
            once(layers, texts, w, b, s) + ("scan" in layers) * s * len(texts)
        )
    ),
    "you keep a single state, for all layers and texts.": (
        lambda layers, texts, w, b, s: once(layers, texts, w, b, s) + ("scan" in layers) * s
    ),
    "your scans keep nothing. A state is small, not empty.": once,
    "you add the texts up before you apply the window. Each has its own.": (
        lambda layers, texts, w, b, s: (
            kept(layers, [sum(texts)], w, b, s) + layers.count("scan") * s * (len(texts) - 1)
        )
    ),
    "you take all texts for one long one.": (
        lambda layers, texts, *rest: kept(layers, [sum(texts)], *rest)
    ),
    "you give every text the length of the longest.": (
        lambda layers, texts, *rest: kept(layers, [max(texts)] * len(texts), *rest)
    ),
    "you count one text: all are kept side by side.": (
        lambda layers, texts, *rest: kept(layers, texts[:1], *rest),
        lambda layers, texts, *rest: kept(layers, texts[-1:], *rest),
    ),
    "you keep a cache beside the state in layers that scan.": (
        taking(scan=lambda n, w, b, s: n * b + s),
        taking(scan=lambda n, w, b, s: min(n, w) * b + s),
    ),
    "you take the larger of window and length: a window never holds more than was read.": taking(
        window=lambda n, w, b, s: max(n, w) * b
    ),
    "you widen the window with every layer above another. So a trace reaches; a ring holds W.": (
        lambda layers, texts, w, b, s: kept(layers, texts, w * layers.count("window"), b, s)
    ),
    "you keep a token too many: a window of W holds W, the newest included.": taking(
        window=lambda n, w, b, s: min(n, w + 1) * b
    ),
    "you halve what is kept.": lambda *given: kept(*given) // 2,
    "you count keys and values twice: token_bytes holds both.": (
        lambda layers, texts, w, b, s: kept(layers, texts, w, 2 * b, s)
    ),
    "you count tokens and not bytes.": (
        lambda layers, texts, w, b, s: kept(layers, texts, w, 1, s)
    ),
    "you count the first layer only: each keeps its own.": (
        lambda layers, *rest: kept(layers[:1], *rest)
    ),
}

KNOWN = Known(
    right=(kept, by_kinds),
    mistakes=MISTAKES,
    slips={"expected one whole number": lambda *given: None},
    show=lambda layers, texts, w, b, s: f"kept_bytes({layers}, {texts}, {w}, {b}, {s})",
    name="{:,}".format,
)
