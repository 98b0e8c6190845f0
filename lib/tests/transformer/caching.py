"""Random small transformers, prompts and schedules of passes, for tests of everything cached."""

import torch
from hypothesis import strategies as st

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

WINDOWS = st.one_of(st.none(), st.integers(1, 9))


def build_model(seed: int = 0, dtype: torch.dtype = torch.float64, **changes) -> Transformer:
    """A small model whose attention is far from flat, so that each key counts."""
    torch.manual_seed(seed)
    sizes = dict(dim=16, head_dim=4, hidden_dim=16, vocab_size=32)
    model = Transformer(TransformerConfig.tiny(**(sizes | changes))).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5)
    return model.requires_grad_(False).eval()


@st.composite
def shapes(draw) -> dict:
    """What `build_model` takes: one to three layers, windowed, full or mixed; dense or experts."""
    n_layers = draw(st.integers(1, 3))
    n_kv_heads = draw(st.sampled_from([1, 2]))
    experts = draw(st.sampled_from([{}, dict(n_experts=3, experts_per_token=2)]))
    return dict(
        seed=draw(st.integers(0, 5)),
        n_layers=n_layers,
        window=tuple(draw(st.lists(WINDOWS, min_size=n_layers, max_size=n_layers))),
        n_heads=n_kv_heads * draw(st.sampled_from([1, 2])),
        n_kv_heads=n_kv_heads,
        **experts,
    )


def batches(max_batch: int = 3, max_length: int = 25) -> st.SearchStrategy[list[list[int]]]:
    """Prompts of any lengths."""
    prompt = st.lists(st.integers(0, 31), min_size=1, max_size=max_length)
    return st.lists(prompt, min_size=1, max_size=max_batch)


CHUNK_SIZES = st.one_of(st.none(), st.integers(1, 30))


def uncached(model: Transformer, sequence: list[int]) -> torch.Tensor:
    """Logits after the last token of a sequence, by the whole model without a cache."""
    with torch.no_grad():
        return model(torch.tensor([sequence]))[0, -1]
