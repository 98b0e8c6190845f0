"""Mistral's own format, written here from transformers' models, and the ways it varies."""

import json

import pytest
import torch
from safetensors.torch import save_file

import mixlab
from mixlab.transformer.rope import half_to_interleaved
from mixlab.weights.mistral import read_params
from tests.weights.transformers_models import logits, reference

PARAMS = dict(
    dim=64,
    n_layers=2,
    head_dim=16,
    hidden_dim=96,
    n_heads=4,
    n_kv_heads=2,
    norm_eps=1e-5,
    vocab_size=128,
)


def convert(theirs, interleave=True):
    """A transformers model's tensors as Mistral stores them."""
    tensors = {
        "tok_embeddings.weight": theirs.model.embed_tokens.weight,
        "norm.weight": theirs.model.norm.weight,
        "output.weight": theirs.lm_head.weight,
    }
    for number, layer in enumerate(theirs.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        prefix = f"layers.{number}."
        q, k = attention.q_proj.weight, attention.k_proj.weight
        if interleave:
            q, k = half_to_interleaved(q, 4), half_to_interleaved(k, 2)
        tensors |= {
            prefix + "attention_norm.weight": layer.input_layernorm.weight,
            prefix + "ffn_norm.weight": layer.post_attention_layernorm.weight,
            prefix + "attention.wq.weight": q,
            prefix + "attention.wk.weight": k,
            prefix + "attention.wv.weight": attention.v_proj.weight,
            prefix + "attention.wo.weight": attention.o_proj.weight,
        }
        prefix += "feed_forward."
        if hasattr(mlp, "experts"):
            tensors[prefix + "gate.weight"] = mlp.gate.weight
            for e, (up, down) in enumerate(
                zip(mlp.experts.gate_up_proj, mlp.experts.down_proj, strict=True)
            ):
                w1, w3 = up.chunk(2)
                for name, weight in [("w1", w1), ("w2", down), ("w3", w3)]:
                    tensors[f"{prefix}experts.{e}.{name}.weight"] = weight
        else:
            tensors[prefix + "w1.weight"] = mlp.gate_proj.weight
            tensors[prefix + "w2.weight"] = mlp.down_proj.weight
            tensors[prefix + "w3.weight"] = mlp.up_proj.weight
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def write(folder, tensors, shards=1, **params):
    folder.mkdir(exist_ok=True)
    (folder / "params.json").write_text(json.dumps(PARAMS | params))
    names = sorted(tensors)
    for shard in range(shards):
        stem = "consolidated" if shards == 1 else f"consolidated-{shard + 1:05}-of-{shards:05}"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / f"{stem}.safetensors")
    return folder


def assert_equal(folder, theirs):
    tokens = torch.arange(90)[None] % 128
    torch.testing.assert_close(
        logits(mixlab.load(folder), tokens), logits(theirs, tokens), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("shards", [1, 3])
def test_mistral(tmp_path, shards):
    theirs = reference(sliding_window=9)
    assert_equal(write(tmp_path, convert(theirs), shards, sliding_window=9), theirs)


@pytest.mark.parametrize(
    "experts",
    [
        dict(moe=dict(num_experts=4, num_experts_per_tok=2)),
        dict(num_experts=4, num_experts_per_tok=2),
    ],
)
def test_mixtral(tmp_path, experts):
    """With rope_theta left out, as in Mixtral's own params.json."""
    theirs = reference("mixtral")
    assert theirs.config.rope_parameters["rope_theta"] == 1_000_000.0
    assert_equal(write(tmp_path, convert(theirs), **experts), theirs)
    older = {
        name.replace("feed_forward", "block_sparse_moe"): tensor
        for name, tensor in convert(theirs).items()
    }
    assert_equal(write(tmp_path, older, **experts), theirs)


def test_tied_embeddings_and_an_index(tmp_path):
    theirs = reference(tie_word_embeddings=True, sliding_window=5)
    tensors = convert(theirs)
    del tensors["output.weight"]
    write(tmp_path, tensors, 2, sliding_window=5, tied_embeddings=True)
    files = sorted(tmp_path.glob("*.safetensors"))
    weight_map = {name: files[i % 2].name for i, name in enumerate(sorted(tensors))}
    (tmp_path / "consolidated.safetensors.index.json").write_text(
        json.dumps(dict(weight_map=weight_map))
    )
    assert_equal(tmp_path, theirs)


def test_rows_left_in_the_half_layout_are_far_off(tmp_path):
    """The mix-up this format invites: no error, other logits."""
    theirs = reference(sliding_window=9)
    wrong = mixlab.load(write(tmp_path, convert(theirs, interleave=False), sliding_window=9))
    tokens = torch.arange(90)[None]
    assert (logits(wrong, tokens) - logits(theirs, tokens)).abs().max() > 0.5


def test_windows_by_layer(tmp_path):
    write(tmp_path, {}, sliding_window=[3, None], n_layers=4)
    assert read_params(tmp_path).layer_windows == (3, None, 3, None)
    write(tmp_path, {}, _sliding_window=[3, None, None], n_layers=4)
    with pytest.raises(ValueError, match="one for each of the 4 layers"):
        read_params(tmp_path)


def test_rope_base(tmp_path):
    assert read_params(write(tmp_path, {}, sliding_window=4096)).rope_theta == 10_000.0
    assert read_params(write(tmp_path, {})).rope_theta == 1_000_000.0
    assert read_params(write(tmp_path, {}, sliding_window=8, rope_theta=5e5)).rope_theta == 5e5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(yarn=dict(factor=4)), "asks for {'yarn'"),
        (dict(vision_encoder=dict(hidden_size=8)), "asks for {'vision_encoder'"),
        (dict(quantization=dict(qformat="fp8")), "asks for {'quantization'"),
        (dict(model_type="mamba"), "asks for {'model_type': 'mamba'}"),
        (dict(sliding_window=0), "window must be at least 1"),
        (dict(moe=dict(num_experts=4, num_experts_per_tok=5)), "between 1 and n_experts"),
    ],
)
def test_what_this_model_does_not_compute_is_refused(tmp_path, asked, message):
    with pytest.raises(ValueError, match=message):
        mixlab.load(write(tmp_path, {}, **asked))


def test_harmless_extras_are_read_past(tmp_path):
    theirs = reference(sliding_window=9)
    write(tmp_path, convert(theirs), sliding_window=9, max_seq_len=77, lora=None, yarn=None)
    assert mixlab.load(tmp_path).config.max_seq == 77


def test_damage(tmp_path):
    tensors = convert(reference())
    write(tmp_path, tensors)
    save_file({"norm.weight": tensors["norm.weight"]}, tmp_path / "consolidated-2.safetensors")
    mixlab.load(tmp_path)  # consolidated.safetensors is whole; the other is some other file
    (tmp_path / "consolidated.safetensors").rename(tmp_path / "consolidated-1.safetensors")
    with pytest.raises(ValueError, match=r"holds norm\.weight, which another file"):
        mixlab.load(tmp_path)
    (tmp_path / "consolidated-2.safetensors").unlink()
    (tmp_path / "params.json").write_text(json.dumps({"dim": 64}))
    with pytest.raises(ValueError, match="lacks n_layers"):
        mixlab.load(tmp_path)
    write(tmp_path, tensors | {"layers.0.attention.wq.weight": torch.zeros(60, 64)})
    (tmp_path / "consolidated-1.safetensors").unlink()
    with pytest.raises(ValueError, match=r"misshapen: layers\.0\.attention\.wq\.weight \(60, 64\)"):
        mixlab.load(tmp_path)
    file = tmp_path / "consolidated.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        mixlab.load(tmp_path)
    file.unlink()
    (tmp_path / "consolidated.00.pth").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no consolidated\*\.safetensors"):
        mixlab.load(tmp_path)
