"""The models that rows run: small, in the proportions of the published ones, one set of weights.

A peer's random model is saved as its own library saves it and loaded by `mixlab.load`, so both
compute with the same float32 numbers.
"""

import tempfile

import torch
from torch import Tensor, nn

import mixlab
from bench.row import Size, require
from mixlab.transformer.rope import rope_table

# SmolLM2-135M, whose weights the course uses: Mistral's architecture, 134,515,008 parameters.
SMOLLM2 = dict(
    hidden_size=576,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    intermediate_size=1536,
    vocab_size=49_152,
    tie_word_embeddings=True,
)
# Mixtral 8x7B in small: 3.5 x dim hidden, 4 query heads a key head, 8 experts of which 2 run.
MIXTRAL = dict(
    hidden_size=768,
    num_hidden_layers=4,
    num_attention_heads=12,
    num_key_value_heads=3,
    head_dim=64,
    intermediate_size=2688,
    vocab_size=32_000,
    num_local_experts=8,
    num_experts_per_tok=2,
)
# Mistral 7B, a quarter as wide and an eighth as deep.
WIDE = dict(
    hidden_size=1024,
    num_hidden_layers=4,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=128,
    intermediate_size=3584,
    vocab_size=32_000,
)
# What makes a shape small enough for tests that take seconds.
TINY = dict(hidden_size=64, num_hidden_layers=2, head_dim=16, intermediate_size=96, vocab_size=128)


def describe(config) -> str:
    """The numbers of our configuration that say how large a model is.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> describe(TransformerConfig.tiny())
    'dim 64, 2 layers, 4/2 heads of 16, hidden 128, vocabulary 256'
    """
    experts = f", {config.n_experts} experts" if config.n_experts > 1 else ""
    return (
        f"dim {config.dim}, {config.n_layers} layers, {config.n_heads}/{config.n_kv_heads} heads "
        f"of {config.head_dim}, hidden {config.hidden_dim}{experts}, "
        f"vocabulary {config.vocab_size:,}"
    )


def pair(
    shape: dict, size: Size, window: int | None = None, device: str = "cpu", dtype=torch.float32
) -> tuple[nn.Module, nn.Module]:
    """Our model and transformers' with the same random weights, in evaluation mode.

    Args:
        shape: one of the constants above; with `num_local_experts` it is a Mixtral, else a Mistral.
        size: "tiny" keeps the proportions of heads and experts only.
        window: keys a query sees; both libraries count the token itself.
    """
    require("transformers")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    shape = shape | TINY if size == "tiny" else shape
    family = "Mixtral" if "num_local_experts" in shape else "Mistral"
    config = getattr(transformers, family + "Config")(
        **shape,
        sliding_window=window,
        max_position_embeddings=131_072,
        # Larger than usual: activations and logits of size 1, in which an error would show.
        initializer_range=shape["hidden_size"] ** -0.5,
    )
    torch.manual_seed(0)
    theirs = getattr(transformers, family + "ForCausalLM")(config).eval()
    theirs.set_attn_implementation("sdpa")
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = mixlab.load(folder, dtype=dtype, device=device)
    return ours, theirs.to(device=device, dtype=dtype).requires_grad_(False)


class ExactAngles(nn.Module):
    """RoPE's tables from float64 angles, for a peer that computes them in float32.

    At position 16,384 a float32 angle is off by up to a thousandth of a radian, which moves logits
    by more than the tolerance. With exact angles in both, long prompts can be compared.
    """

    def __init__(self, head_dim: int, theta: float):
        super().__init__()
        self.head_dim, self.theta = head_dim, theta

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = rope_table(position_ids[0], self.head_dim, self.theta)
        return tuple(torch.cat((t, t), dim=-1)[None].to(x.dtype) for t in (cos, sin))


def ways(theirs: nn.Module, names: tuple[str, ...]) -> list[str | None]:
    """Which of the peer's ways of running experts work here; [None] for a model without experts."""
    if not hasattr(theirs.config, "num_local_experts"):
        return [None]
    found = []
    for name in names:
        try:
            theirs.set_experts_implementation(name)
            with torch.inference_mode():
                theirs(torch.zeros(1, 2, dtype=torch.long, device=theirs.device))
        except (ValueError, RuntimeError, NotImplementedError):
            continue
        found.append(name)
    return found


def random_tokens(n_tokens: int, vocab_size: int, device: str = "cpu") -> Tensor:
    """Random token ids, (1, n_tokens), the same at every call."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(vocab_size, (1, n_tokens), generator=generator).to(device)
