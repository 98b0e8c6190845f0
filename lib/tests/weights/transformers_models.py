"""Small random transformers models that tests write to disk and compare with."""

import torch


def reference(family="mistral", seed=0, **changes):
    """A model of transformers whose attention and experts are far from flat."""
    import transformers

    sizes = dict(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=96,
        vocab_size=128,
        rms_norm_eps=1e-5,
        attn_implementation="eager",
    )
    name = family.capitalize()
    if family != "llama":
        sizes["sliding_window"] = None
    if family == "mixtral":
        sizes |= dict(num_local_experts=4, num_experts_per_tok=2)
    config = getattr(transformers, f"{name}Config")(**(sizes | changes))
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.5 * parameter.shape[-1] ** -0.5)
            else:
                parameter.uniform_(0.5, 1.5)
    return model


@torch.no_grad()
def logits(model, tokens):
    """Logits of either library's model."""
    out = model(tokens)
    return out if isinstance(out, torch.Tensor) else out.logits
