"""Folders that say one thing twice, in other words, or in the words of Mamba's authors."""

import json

import jaxtyping
import pytest
import torch
from safetensors.torch import load_file, save_file

import mixlab
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from tests.weights import test_gguf as gguf_files

SIZES = dict(dim=8, n_layers=1, hidden_dim=8, head_dim=4, n_heads=2, n_kv_heads=1, vocab_size=5)
CONFIG, MODEL, PARAMS = "config.json", "model.safetensors", "params.json"
TOKENS = torch.tensor([[1, 4, 0, 2, 3, 3, 1]])


@pytest.fixture(autouse=True)
def as_users_meet_it(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def folder(tmp_path):
    mixlab.save(Transformer(TransformerConfig.tiny(**SIZES)), tmp_path)
    return tmp_path


def rewrite(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refuses(match, path, **options):
    with pytest.raises(ValueError, match=match):
        mixlab.load(path, **options)


def test_rope_scaling_wins_over_rope_parameters(folder):
    """As in transformers 5, which reads the older key first."""
    default = dict(rope_type="default", rope_theta=1e4)
    rewrite(folder / CONFIG, rope_parameters=default, rope_scaling=dict(type="linear", factor=4.0))
    refuses("rope_type = 'linear'", folder)
    rewrite(folder / CONFIG, rope_scaling=dict(type="default"), rope_theta=5e5)
    assert mixlab.load(folder).config.rope_theta == 5e5


@pytest.mark.parametrize("tied", ["false", "no", 1])
def test_what_looks_like_a_yes(folder, tied):
    rewrite(folder / CONFIG, tie_word_embeddings=tied)
    refuses("tie_embeddings must be True or False", folder)


def test_two_embeddings_that_are_said_to_be_one(folder):
    rewrite(folder / CONFIG, tie_word_embeddings=True)
    refuses("stores two different ones", folder)
    tensors = load_file(folder / MODEL)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, folder / MODEL)
    model = mixlab.load(folder)
    assert model.output.weight is model.tok_embeddings.weight


def test_parameters_of_several_types(folder):
    tensors = load_file(folder / MODEL)
    low = {name: x.bfloat16() if "mlp" in name else x for name, x in tensors.items()}
    save_file(low, folder / MODEL)
    refuses(r"as torch\.bfloat16, torch\.float32, and a model computes in one", folder)
    assert mixlab.load(folder, dtype=torch.bfloat16)(TOKENS).dtype == torch.bfloat16


def test_one_tensor_under_two_names(folder):
    tensors = load_file(folder / MODEL)
    tensors["model.layers.0.mlp.gate.weight"] = torch.zeros(2, 8)
    tensors["model.layers.0.block_sparse_moe.gate.weight"] = torch.ones(2, 8)
    save_file(tensors, folder / MODEL)
    refuses("another name of layers.0.feed_forward.gate.weight", folder)


def test_a_file_of_a_folder(folder):
    refuses("give the one that holds it", folder / MODEL)


@pytest.mark.parametrize("first", [4, None])
def test_mistrals_window_under_its_second_name(tmp_path, first):
    model = Transformer(TransformerConfig.tiny(**SIZES))
    save_file(model.state_dict(), tmp_path / "consolidated.safetensors")
    params = SIZES | dict(norm_eps=1e-5, sliding_window=first, _sliding_window=3)
    (tmp_path / PARAMS).write_text(json.dumps(params))
    if first:
        refuses("not both", tmp_path)
    else:
        assert mixlab.load(tmp_path).config.window == 3


def test_gguf_fields_that_change_the_model(tmp_path):
    built, path = gguf_files.model(), tmp_path / "model.gguf"
    gguf_files.write(path, built, **{"rope.scale_linear": 4.0})
    refuses("rope.scale_linear = 4.0", path)
    gguf_files.write(path, built, **{"attention.head_count": 0})
    refuses("head_count as one positive number", path)
    gguf_files.write(path, built, **{"attention.head_count": "4"})
    refuses("head_count as one positive number", path)


def authors_folder(folder, whole=True, ssm_cfg=None, **changes):
    """A checkpoint as the authors' `save_pretrained` writes it; transformers' model of it."""
    transformers = pytest.importorskip("transformers")
    sizes = dict(hidden_size=12, num_hidden_layers=2, vocab_size=8, state_size=5, expand=3)
    model = transformers.MambaForCausalLM(transformers.MambaConfig(**sizes)).eval()
    tensors = dict(model.state_dict())
    tensors["backbone.embedding.weight"] = tensors.pop("backbone.embeddings.weight")
    tensors["lm_head.weight"] = tensors["backbone.embedding.weight"]
    written = dict(d_model=12, n_layer=2, vocab_size=7, rms_norm=True, residual_in_fp32=True)
    written |= dict(fused_add_norm=True, pad_vocab_size_multiple=8)
    written["ssm_cfg"] = dict(d_state=5, expand=3) if ssm_cfg is None else ssm_cfg
    (folder / CONFIG).write_text(json.dumps(written | changes))
    if whole:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file({n: x.clone() for n, x in tensors.items()}, folder / MODEL)
    return model


@pytest.mark.parametrize("whole", [True, False], ids=["bin", "safetensors"])
@torch.no_grad()
def test_folders_of_mambas_authors(tmp_path, whole):
    theirs = authors_folder(tmp_path, whole)
    ours = mixlab.load(tmp_path)
    assert ours.config.vocab_size == 8  # 7, filled up to a multiple of 8
    torch.testing.assert_close(ours(TOKENS), theirs(TOKENS).logits, rtol=0, atol=1e-5)
    assert mixlab.load(tmp_path, dtype=torch.float64)(TOKENS).dtype == torch.float64


@pytest.mark.parametrize(
    "changes",
    [
        dict(rms_norm=False),
        dict(d_intermediate=64),
        dict(attn_layer_idx=[1]),
        dict(ssm_cfg=dict(d_state=5, expand=3, layer="Mamba2")),
        dict(ssm_cfg=dict(d_state=5, expand=3, headdim=4)),
    ],
)
def test_what_their_later_models_ask_for(tmp_path, changes):
    authors_folder(tmp_path, **changes)
    refuses("which this model doesn't compute", tmp_path)


def test_their_folders_when_damaged(tmp_path):
    authors_folder(tmp_path)
    rewrite(tmp_path / CONFIG, ssm_cfg=[1])
    refuses("ssm_cfg as an object", tmp_path)
    rewrite(tmp_path / CONFIG, ssm_cfg=dict(d_state=5))  # and expand 2, which it isn't
    refuses("misshapen", tmp_path)
    whole = (tmp_path / "pytorch_model.bin").read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no pickle"):
        (tmp_path / "pytorch_model.bin").write_bytes(content)
        refuses("or is damaged", tmp_path)
    torch.save([torch.zeros(3)], tmp_path / "pytorch_model.bin")
    refuses("must hold named tensors", tmp_path)
    torch.save({"x": print}, tmp_path / "pytorch_model.bin")  # a pickle that would call something
    refuses("no tensors alone", tmp_path)
