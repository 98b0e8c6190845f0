"""Real weights: our logits on SmolLM2 are transformers' on the same file, at every position."""

import pytest
import torch
from torch.nn import functional as F

import mixlab
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss
from mixlab.transformer.rope import half_to_interleaved
from mixlab.transformer.upcycle import upcycle
from mixlab.weights.huggingface import NAMES
from mixlab.weights.stored import rename

TEXT = """The sliding window lets every token look back at the last few thousand tokens only. What
lies further back still reaches it: each layer hands on what the layer below has gathered, so that
after thirty-two layers the words of a whole book can leave a trace. def window(i, j, w): return
0 <= i - j < w. In 1905, four papers changed physics; the price was 3,141.59 francs. Ce n'est pas
la même chose. """


@pytest.fixture(scope="module")
def ours():
    return mixlab.load(mixlab.smollm2())


@pytest.fixture(scope="module")
def tokens():
    ids = mixlab.tokenizer(mixlab.smollm2()).encode(2 * TEXT).ids
    return torch.tensor([ids[:160]])


@pytest.fixture(scope="module")
def llama():
    """transformers' own reading of the same file."""
    from transformers import AutoModelForCausalLM

    path = mixlab.smollm2()
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )


@torch.inference_mode()
def logits(model, tokens):
    out = model(tokens)
    return out if isinstance(out, torch.Tensor) else out.logits


def test_configuration(ours):
    assert ours.config == TransformerConfig.smollm2()
    assert ours.config.n_parameters == sum(p.numel() for p in ours.parameters()) == 134_515_008


def test_logits_equal_transformers_at_every_position(ours, llama, tokens):
    assert tokens.shape == (1, 160)
    torch.testing.assert_close(logits(ours, tokens), logits(llama, tokens), rtol=0, atol=1e-3)


def test_the_model_has_read(ours, tokens):
    """Cross-entropy in nats a token on text it hasn't seen; untrained it is ln 49,152 = 10.8."""
    assert next_token_loss(logits(ours, tokens[:, :100]), tokens[:, :100]) < 5.5


def test_imposed_window_equals_transformers_mistral(ours, llama, tokens):
    """The same weights as a Mistral with sliding_window = 64, over 160 tokens."""
    from transformers import MistralConfig, MistralForCausalLM

    config = ours.config
    mistral = MistralForCausalLM(
        MistralConfig(
            hidden_size=config.dim,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            intermediate_size=config.hidden_dim,
            vocab_size=config.vocab_size,
            rms_norm_eps=config.norm_eps,
            tie_word_embeddings=True,
            sliding_window=64,
            rope_parameters=dict(rope_type="default", rope_theta=config.rope_theta),
        )
    ).eval()
    mistral.load_state_dict(llama.state_dict())
    full = logits(ours, tokens)
    ours.set_window(64)
    try:
        windowed = logits(ours, tokens)
    finally:
        ours.set_window(None)
    torch.testing.assert_close(windowed, logits(mistral, tokens), rtol=0, atol=1e-3)
    torch.testing.assert_close(windowed[:, :64], full[:, :64], rtol=0, atol=1e-3)
    assert (windowed - full).abs().max() > 1


def test_the_wrong_rope_layout_is_caught(ours, llama, tokens):
    """Queries and keys left interleaved still answer in English; only logits tell."""
    wrong = Transformer(ours.config)
    wrong.load_state_dict(ours.state_dict())
    with torch.no_grad():
        for layer in wrong.layers:
            for weight, n_heads in [
                (layer.attention.wq.weight, ours.config.n_heads),
                (layer.attention.wk.weight, ours.config.n_kv_heads),
            ]:
                weight.copy_(half_to_interleaved(weight.clone(), n_heads))
    difference = (logits(wrong, tokens) - logits(llama, tokens)).abs().max()
    assert difference > 1, f"the mix-up moves logits by {difference:.2f} only"


def test_saved_as_mistral_it_is_the_same_model(ours, tokens, tmp_path):
    mixlab.save(ours, tmp_path)
    back = mixlab.load(tmp_path)
    assert torch.equal(logits(back, tokens[:, :50]), logits(ours, tokens[:, :50]))


def test_tensors_equal_transformers_reading(ours, llama):
    theirs = {rename(name, NAMES): tensor for name, tensor in llama.state_dict().items()}
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=1e-6)


def test_four_identical_experts_equal_the_dense_model(ours, tokens):
    """Sparse upcycling of real layers: the router may choose as it likes."""
    sparse = upcycle(ours, n_experts=4, experts_per_token=2)
    assert sparse.config.n_parameters > 2.5 * ours.config.n_parameters
    torch.testing.assert_close(logits(sparse, tokens), logits(ours, tokens), rtol=0, atol=1e-3)


def test_eight_bits_cost_little(ours, tokens):
    """Against the same file in float32: the loss, and how far the next token's chances moved."""
    kept = mixlab.load(mixlab.smollm2(), keep_quantised=True)
    exact, rounded = logits(ours, tokens), logits(kept, tokens)
    assert abs(next_token_loss(rounded, tokens) - next_token_loss(exact, tokens)) < 0.03
    moved = F.kl_div(
        rounded.log_softmax(-1), exact.log_softmax(-1), log_target=True, reduction="none"
    )
    assert 0 < moved.sum(-1).mean() < 0.02
    assert (exact.argmax(-1) == rounded.argmax(-1)).float().mean() > 0.93


def test_in_eight_bits_it_still_answers():
    path = mixlab.smollm2()
    model, encode = mixlab.load(path, keep_quantised=True), mixlab.tokenizer(path)
    prompt = mixlab.chat(path, "What is the capital of France?")
    answer = mixlab.generate(model, [prompt], max_tokens=20, stop=mixlab.stop_tokens(path))
    assert "Paris" in encode.decode(answer[0])
