"""Put named tensors into a model, and say exactly which are missing, surplus or misshapen."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer


def _some(names: list[str]) -> str:
    """A few names and how many more, so that a wrong file doesn't print a thousand lines."""
    shown = ", ".join(sorted(names)[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def build(
    config: TransformerConfig,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    source: str = "the file",
) -> Transformer:
    """A Transformer of `config` whose parameters are `tensors`, without a second copy of them.

    The model is laid out on the meta device, which allocates nothing, and the tensors become its
    parameters as they are, so peak memory is that of the weights.

    Args:
        config: the model's shape.
        tensors: parameters under this library's names (`layers.0.attention.wq.weight`, …). With
            tied embeddings `output.weight` may be absent.
        dtype, device: convert each tensor; as they come by default.
        source: what to call the tensors' origin in errors.

    Raises:
        ValueError: naming every kind of mismatch.
    """
    with torch.device("meta"):
        model = Transformer(config)
    wanted = {name: parameter.shape for name, parameter in model.state_dict().items()}
    given = dict(tensors)
    if config.tie_embeddings:
        wanted.pop("output.weight")
        given.pop("output.weight", None)
    missing = [name for name in wanted if name not in given]
    surplus = [name for name in given if name not in wanted]
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(shape)}"
        for name, shape in wanted.items()
        if name in given and given[name].shape != shape
    ]
    problems = [
        f"{kind}: {_some(names)}"
        for kind, names in [("missing", missing), ("surplus", surplus), ("misshapen", misshapen)]
        if names
    ]
    if problems:
        raise ValueError(
            f"the tensors of {source} don't fit the configuration that came with them; "
            + "; ".join(problems)
            + ". Is the configuration of another model, or the download incomplete?"
        )
    given = {name: tensor.to(dtype=dtype, device=device) for name, tensor in given.items()}
    if config.tie_embeddings:
        given["output.weight"] = given["tok_embeddings.weight"]
    model.load_state_dict(given, assign=True)
    if config.tie_embeddings:
        # assign=True made two parameters of one tensor: tie them again.
        model.output.weight = model.tok_embeddings.weight
    return model.requires_grad_(False).eval()
