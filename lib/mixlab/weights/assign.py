"""Put stored tensors into a model, and say exactly which are missing, surplus or misshapen."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.sparse_moe import SparseMoE
from mixlab.weights.stored import Stored

_COMPUTED = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def build(
    config: TransformerConfig | MambaConfig,
    tensors: Mapping[str, Stored],
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    source: str = "the file",
    finish_block: Callable[[nn.Module], None] | None = None,
) -> nn.Module:
    """The model of `config` whose parameters are `tensors`, without a second copy of them.

    The model is laid out on the meta device, which allocates nothing, and each tensor becomes a
    parameter as it is read, so peak memory is that of the weights.

    Args:
        config: the model's shape, of a Transformer or a Mamba.
        tensors: parameters under this library's names (`layers.0.attention.wq.weight`, …).
            Experts come one by one (`layers.0.feed_forward.experts.0.w1.weight`) or stacked
            (`layers.0.feed_forward.w1`). With tied embeddings `output.weight` may be absent.
        dtype, device: convert each tensor; as they come by default.
        source: what to call the tensors' origin in errors.
        finish_block: called with each of the model's layers as soon as its weights are in place.

    Returns:
        The model, in evaluation mode; its parameters want no gradient.

    Raises:
        ValueError: naming every kind of mismatch, or types that this model can't compute in.
    """
    if dtype is not None and dtype not in _COMPUTED:
        raise ValueError(f"dtype must be one of {', '.join(map(str, _COMPUTED))}: got {dtype!r}")
    with torch.device("meta"):
        model = Mamba(config) if isinstance(config, MambaConfig) else Transformer(config)
    parts = _parts(model, tensors)
    _check_fit(config, parts, tensors, source)
    as_stored = dtype is None and torch.device(device or "cpu").type == "cpu"

    def read(name: str, keep: bool) -> Tensor:
        tensor = tensors[name].read(keep and as_stored)
        if tensor.dtype not in _COMPUTED:
            raise ValueError(
                f"{source} stores {name} as {tensor.dtype}: expected one of "
                f"{', '.join(map(str, _COMPUTED))}. Is the checkpoint quantised? Its scales would "
                "be ignored, and its logits wrong"
            )
        return tensor.to(dtype=dtype, device=device)

    # The last parameter of each layer, and the layer: parameters come in the model's order.
    last = {".".join(name.split(".")[:2]): name for name in parts if name.startswith("layers.")}
    ends = {name: layer for layer, name in last.items()}
    for name, shapes in parts.items():
        if len(shapes) == 1:
            (stored_name,) = shapes
            weight = read(stored_name, keep=True)
        else:
            weight = torch.stack([read(expert, keep=False) for expert in shapes])
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(weight, requires_grad=False))
        if finish_block and name in ends:
            finish_block(model.get_submodule(ends[name]))
    if config.tie_embeddings:
        if "output.weight" in tensors and not read("output.weight", keep=True).equal(
            model.tok_embeddings.weight
        ):
            raise ValueError(
                f"{source} says that embedding and output layer share their weights, and stores "
                "two different ones. If both count, set the configuration's tie_word_embeddings "
                "to false"
            )
        model.output.weight = model.tok_embeddings.weight
    _check_dtypes(model, source)
    return model.eval()


def _parts(model: nn.Module, tensors: Mapping) -> dict[str, dict[str, torch.Size]]:
    """For each parameter, the stored names that make it up, and the shape each must have."""
    parts = {name: {name: parameter.shape} for name, parameter in model.named_parameters()}
    for prefix, module in model.named_modules():
        if isinstance(module, SparseMoE):
            for leaf in ("w1", "w2", "w3"):
                name, stack = f"{prefix}.{leaf}", getattr(module, leaf)
                if name not in tensors:
                    experts = (f"{prefix}.experts.{e}.{leaf}.weight" for e in range(len(stack)))
                    parts[name] = dict.fromkeys(experts, stack.shape[1:])
    return parts


def _check_fit(config, parts: dict, tensors: Mapping, source: str) -> None:
    wanted = {name: shape for shapes in parts.values() for name, shape in shapes.items()}
    optional = {"output.weight"} if config.tie_embeddings else set()
    missing = [name for name in wanted if name not in tensors]
    surplus = [name for name in tensors if name not in wanted and name not in optional]
    misshapen = [
        f"{name} {tensors[name].shape} instead of {tuple(shape)}"
        for name, shape in wanted.items()
        if name in tensors and tensors[name].shape != tuple(shape)
    ]
    untied = missing == ["output.weight"] and not config.tie_embeddings
    hint = (
        "The output layer may share the embedding's weights: then the configuration must say "
        "tie_word_embeddings = true"
        if untied
        else "Is the configuration of another model, or the download incomplete?"
    )
    problems = [
        f"{kind}: {_some(names)}"
        for kind, names in [("missing", missing), ("surplus", surplus), ("misshapen", misshapen)]
        if names
    ]
    if problems:
        raise ValueError(
            f"the tensors of {source} don't fit the configuration that came with them; "
            + "; ".join(problems)
            + f". {hint}"
        )


def _check_dtypes(model: nn.Module, source: str) -> None:
    """One type for all; only A_log and D stay float32 in a Mamba of low precision."""
    dtypes = {
        parameter.dtype
        for name, parameter in model.named_parameters()
        if not name.endswith((".A_log", ".D"))
    }
    if len(dtypes) > 1:
        raise ValueError(
            f"{source} stores parameters as {', '.join(sorted(map(str, dtypes)))}, and a model "
            "computes in one type: choose it, as in load(path, dtype=torch.bfloat16)"
        )


def _some(names: list[str]) -> str:
    """A few names and how many more, so that a wrong file doesn't print a thousand lines."""
    shown = ", ".join(sorted(names)[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
