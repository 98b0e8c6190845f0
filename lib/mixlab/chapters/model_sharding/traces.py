"""What chapter 09's devices hold, in GiB."""

from mixlab.parallel.plan import plan
from mixlab.transformer.config import TransformerConfig


def device_memory(
    config: TransformerConfig, cut: str, n_ranks: int, texts: int, seq: int
) -> tuple[float, float, float]:
    """GiB of the fullest device: weights of its own, weights that all have, and keys and values.

    Args:
        config: of a model without a window.
        cut: as in `mixlab.parallel.plan`.
        n_ranks: two devices or more.
        texts: of `seq` tokens each, all together; numbers take two bytes.
    """
    shares = plan(config, cut, n_ranks)
    stored = sum(share.parameters for share in shares)
    everywhere = (stored - config.n_parameters) / (n_ranks - 1)
    fullest = max(shares, key=lambda share: share.parameters)
    # Cut by experts a device keeps all of its own texts, else a part of everybody's.
    kept = texts / n_ranks if cut == "experts" else texts
    numbers = fullest.parameters - everywhere, everywhere, kept * seq * fullest.cached
    own, copies, cache = (2 * number / 2**30 for number in numbers)
    return own, copies, cache
