"""A model that writes at the speed of memory: its steps compiled to machine code by Numba."""

import torch

from mixlab.generate import StatefulModel
from mixlab.ssm.mamba import Mamba
from mixlab.transformer.model import Transformer


def compiled(model: StatefulModel) -> StatefulModel:
    """The same model, with steps that are compiled loops instead of calls of PyTorch.

    Writing a token at a time, for one or few texts, then takes a half to a third of the time;
    reading a prompt is PyTorch's as before. The first step on a machine takes some fifteen seconds,
    in which the loops are compiled; they stay on disk. Hooks on layers don't run in a step.

    Args:
        model: a `Transformer`, also with 8-bit weights, or a `Mamba`, in float32 on a CPU.

    Returns:
        What `generate` takes for a model: with `config`, `init_state`, `prefill` and `step`, which
        agree with the model's own to rounding. It takes the weights as they are now, most of them
        shared: when they have changed, make it anew.

    Raises:
        ValueError: for something else, a class derived from these or with other layers, whose steps
            may be others, another dtype, or another device.

    >>> import mixlab
    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(window=4))
    >>> written = mixlab.generate(compiled(model), [[1, 2, 3]], max_tokens=5)
    >>> written == mixlab.generate(model, [[1, 2, 3]], max_tokens=5)
    True
    """
    # Numba takes half a second to import, and most of what uses this library compiles nothing.
    from mixlab.ssm.compiled import CompiledMamba
    from mixlab.transformer.compiled import CompiledTransformer

    if isinstance(model, CompiledMamba | CompiledTransformer):
        return model
    if type(model) not in (Mamba, Transformer):
        raise ValueError(
            "compiled takes a Transformer or a Mamba, such as mixlab.load(path) returns: got "
            f"{type(model).__name__}"
        )
    for name, one in model.named_parameters():
        if one.dtype != torch.float32 or one.device.type != "cpu":
            raise ValueError(
                f"compiled steps are for float32 on a CPU: got {name} in {one.dtype} on "
                f"{one.device}. model.float().cpu() is such a model"
            )
    return (CompiledMamba if isinstance(model, Mamba) else CompiledTransformer)(model)
