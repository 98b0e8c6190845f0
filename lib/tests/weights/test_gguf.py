"""GGUF files written here in every storage type that the course names, and damaged ones."""

import sys

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type

import mixlab
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.quantised import quantise
from mixlab.transformer.rope import half_to_interleaved

NAMES = {
    "tok_embeddings.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "output.weight": "output.weight",
    "attention_norm": "attn_norm",
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate_inp",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
}


def model(**changes):
    torch.manual_seed(0)
    built = Transformer(TransformerConfig.tiny(window=9, **changes)).eval()
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return built.requires_grad_(False)


def stored(built, stack_experts=True):
    """Our parameters under llama.cpp's names."""
    tensors = {}
    named = built.named_parameters() if stack_experts else built.state_dict().items()
    for name, tensor in named:
        if name == "output.weight" and built.config.tie_embeddings:
            continue
        if name.startswith("layers."):
            _, number, part = name.split(".", 2)
            if part in ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3"):
                part = NAMES[part] + "_exps.weight"
            elif ".experts." in part:
                _, _, expert, w, _ = part.split(".")
                part = f"{NAMES['feed_forward.' + w]}.{expert}.weight"
            else:
                part = NAMES[part.removesuffix(".weight")] + ".weight"
            name = f"blk.{number}.{part}"
        else:
            name = NAMES[name]
        if "attn_q" in name or "attn_k" in name:
            heads = built.config.n_heads if "attn_q" in name else built.config.n_kv_heads
            tensor = half_to_interleaved(tensor, heads)
        tensors[name] = tensor.numpy()
    return tensors


def write(path, built, kind=Type.F32, architecture="llama", tensors=None, without=(), **extra):
    config = built.config
    writer = gguf.GGUFWriter(path, architecture)
    fields = {
        "embedding_length": config.dim,
        "block_count": config.n_layers,
        "feed_forward_length": config.hidden_dim,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads,
        "attention.sliding_window": config.window,
        "vocab_size": config.vocab_size,
        "context_length": config.max_seq,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
        "rope.freq_base": config.rope_theta,
    }
    if config.n_experts > 1:
        fields |= {
            "expert_count": config.n_experts,
            "expert_used_count": config.experts_per_token,
        }
    for key, value in (fields | extra).items():
        if key in without:
            continue
        add = {float: writer.add_float32, str: writer.add_string}.get(
            type(value), writer.add_uint32
        )
        add(key if key.startswith("split.") else f"{architecture}.{key}", value)
    for name, array in (stored(built) if tensors is None else tensors).items():
        packed = kind if array.ndim > 1 else Type.F32
        if packed == Type.Q4_1:
            array = quantise_q4_1(array)
        elif packed != Type.F32:
            array = gguf.quantize(array, packed)
        writer.add_tensor(name, array, raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantise_q4_1(array):
    """Blocks of 32 numbers as 4-bit steps above their minimum: float16 step, float16 minimum,
    16 bytes of two steps each. (Written here because the package may not pack this type.)"""
    blocks = array.reshape(-1, 32)
    low = blocks.min(axis=1, keepdims=True)
    step = (blocks.max(axis=1, keepdims=True) - low) / 15
    digits = np.clip(np.round((blocks - low) / step), 0, 15).astype(np.uint8)
    packed = digits[:, :16] | digits[:, 16:] << 4
    head = np.concatenate([step, low], axis=1).astype(np.float16).view(np.uint8)
    rows = np.concatenate([head, packed], axis=1)
    return rows.reshape(*array.shape[:-1], array.shape[-1] // 32 * 20)


TOKENS = torch.arange(60)[None]
EXPERTS = {"n_experts": 4, "experts_per_token": 2}


@pytest.mark.parametrize("tie_embeddings", [False, True])
@pytest.mark.parametrize("n_experts", [1, 4])
def test_float32_is_exact(tmp_path, n_experts, tie_embeddings):
    built = model(
        n_experts=n_experts, experts_per_token=min(n_experts, 2), tie_embeddings=tie_embeddings
    )
    back = mixlab.load(write(tmp_path / "m.gguf", built))
    assert back.config == built.config
    state = back.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in built.state_dict().items())
    assert torch.equal(back(TOKENS), built(TOKENS))


@pytest.mark.parametrize(
    ("kind", "step"),
    [(Type.F16, 2**-11), (Type.BF16, 2**-8), (Type.Q8_0, 1 / 250), (Type.Q4_1, 1 / 14)],
)
@pytest.mark.parametrize("n_experts", [1, 4])
def test_packed_types_are_within_one_step(tmp_path, kind, step, n_experts):
    """Errors relative to each tensor's largest weight; a wrong layout would be off by 1."""
    built = model(n_experts=n_experts, experts_per_token=min(n_experts, 2))
    back = mixlab.load(write(tmp_path / "m.gguf", built, kind))
    state = back.state_dict()
    for name, tensor in built.state_dict().items():
        error = (state[name] - tensor).abs().max() / tensor.abs().max()
        assert error <= (0 if tensor.ndim == 1 else step), name
    assert {p.dtype for p in back.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_1])
@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": True}, EXPERTS])
def test_what_is_quantised_can_stay_so(tmp_path, kind, changes):
    """Near the same file in float32, and the same as rounding that to 8 bits."""
    path = write(tmp_path / "m.gguf", model(**changes), kind)
    exact, kept = mixlab.load(path), mixlab.load(path, keep_quantised=True)
    logits = exact(TOKENS)
    assert 0 < (kept(TOKENS) - logits).norm() < 0.2 * logits.norm()
    assert torch.equal(quantise(exact)(TOKENS), kept(TOKENS))
    assert kept.config == exact.config
    assert not kept.training


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Type.F16, {}, "stores F16, F32: expected a file of type Q8_0"),
        (Type.Q8_0, {"dtype": torch.bfloat16}, "got dtype=torch.bfloat16, device=None"),
        (Type.Q8_0, {"device": "meta"}, "got dtype=None, device=meta"),
    ],
)
def test_what_can_not_stay_quantised_is_told(tmp_path, kind, arguments, message):
    path = write(tmp_path / "m.gguf", model(), kind)
    with pytest.raises(ValueError, match=message):
        mixlab.load(path, keep_quantised=True, **arguments)


def test_a_folder_has_nothing_quantised(tmp_path):
    mixlab.save(model(), tmp_path)
    with pytest.raises(ValueError, match="whose tensors are floats"):
        mixlab.load(tmp_path, keep_quantised=True)


def test_experts_stored_one_by_one(tmp_path):
    built = model(n_experts=4, experts_per_token=2)
    path = write(tmp_path / "m.gguf", built, tensors=stored(built, stack_experts=False))
    assert torch.equal(mixlab.load(path)(TOKENS), built(TOKENS))


def test_rows_left_in_the_half_layout_are_far_off(tmp_path):
    built = model()
    tensors = stored(built)
    tensors["blk.0.attn_q.weight"] = built.layers[0].attention.wq.weight.numpy()
    wrong = mixlab.load(write(tmp_path / "m.gguf", built, tensors=tensors))
    assert (wrong(TOKENS) - built(TOKENS)).abs().max() > 0.05


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dtype(tmp_path, dtype):
    back = mixlab.load(write(tmp_path / "m.gguf", model()), dtype=dtype)
    assert {p.dtype for p in back.parameters()} == {dtype}


@pytest.mark.parametrize("architecture", ["gpt2", "mamba2", "qwen2"])
def test_unknown_architecture(tmp_path, architecture):
    path = write(tmp_path / "m.gguf", model(), architecture=architecture)
    with pytest.raises(ValueError, match=f"architecture '{architecture}': expected 'llama'"):
        mixlab.load(path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"rope.scaling.type": "yarn"}, "rope.scaling.type = 'yarn'"),
        ({"rope.dimension_count": 8}, "rope.dimension_count = 8"),
        ({"expert_shared_count": 1}, "expert_shared_count = 1"),
        ({"expert_gating_func": 2}, "expert_gating_func = 2"),
        ({"rope.scaling.factor": 4.0}, "rope.scaling.factor = 4.0"),
        ({"attention.some_new_trick": 3}, "llama.attention.some_new_trick = 3"),
        ({"attention.sliding_window": 0}, "window must be at least 1"),
    ],
)
def test_what_this_model_does_not_compute_is_refused(tmp_path, extra, message):
    with pytest.raises(ValueError, match=message):
        mixlab.load(write(tmp_path / "m.gguf", model(), **extra))


@pytest.mark.parametrize("key", ["block_count", "embedding_length", "attention.head_count"])
def test_missing_metadata(tmp_path, key):
    path = write(tmp_path / "m.gguf", model(), without=[key])
    with pytest.raises(ValueError, match=f"doesn't say llama.{key}"):
        mixlab.load(path)


def test_misfits_are_named(tmp_path):
    built = model()
    tensors = stored(built)
    tensors["blk.7.attn_z.weight"] = tensors.pop("blk.1.attn_v.weight")
    tensors["blk.0.attn_q.weight"] = tensors["blk.0.attn_q.weight"][:-1].copy()
    with pytest.raises(ValueError, match="don't fit") as caught:
        mixlab.load(write(tmp_path / "m.gguf", built, tensors=tensors))
    message = str(caught.value)
    assert "missing: layers.1.attention.wv.weight" in message
    assert "surplus: blk.7.attn_z.weight" in message
    assert "misshapen: layers.0.attention.wq.weight (63, 64) instead of (64, 64)" in message


@pytest.mark.parametrize("kept", [0, 3, 4, 30, 1000, -1, -5000])
@pytest.mark.parametrize("kind", [Type.F32, Type.Q8_0])
def test_truncated_files(tmp_path, kept, kind):
    path = write(tmp_path / "m.gguf", model(), kind)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"not a GGUF file|damaged or truncated GGUF file"):
        mixlab.load(path)


def test_other_files_are_not_gguf(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"PK\x03\x04 a zip file")
    with pytest.raises(ValueError, match=r"expected it to begin with b'GGUF', got b'PK"):
        mixlab.load(tmp_path / "m.gguf")


def test_a_file_in_parts_is_read_from_any_of_them(tmp_path):
    built = model()
    tensors = list(stored(built).items())
    paths = [tmp_path / f"m-0000{part}-of-00002.gguf" for part in (1, 2)]
    write(paths[0], built, tensors=dict(tensors[:7]), **{"split.count": 2})
    write(paths[1], built, tensors=dict(tensors[7:]), without=["block_count", "embedding_length"])
    for path in paths:
        assert torch.equal(mixlab.load(path)(TOKENS), built(TOKENS))
    paths[1].unlink()
    with pytest.raises(ValueError, match=r"m-00002-of-00002\.gguf isn't in"):
        mixlab.load(paths[0])


def test_a_type_that_the_package_does_not_know_is_no_damage(tmp_path):
    path = write(tmp_path / "m.gguf", model())
    content = bytearray(path.read_bytes())
    # A tensor's head: its name, two axes, their sizes, its type.
    at = content.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 2 * 8
    content[at : at + 4] = (999).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"type that the installed gguf .* doesn't know yet"):
        mixlab.load(path)


def test_a_file_for_other_machines_is_refused(tmp_path):
    path = tmp_path / "m.gguf"
    other = gguf.GGUFEndian.BIG if sys.byteorder == "little" else gguf.GGUFEndian.LITTLE
    writer = gguf.GGUFWriter(path, "llama", endianess=other)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ValueError, match=r"-endian machines.*gguf-convert-endian"):
        mixlab.load(path)
