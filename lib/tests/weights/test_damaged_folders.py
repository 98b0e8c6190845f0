"""Damaged and unusual model folders: a clear error for each, and round trips that lose nothing."""

import json
import random

import jaxtyping
import pytest
import torch
from safetensors.torch import load_file, save_file

import mixlab
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

SIZES = dict(dim=8, n_layers=1, hidden_dim=8, head_dim=4, n_heads=2, n_kv_heads=1, vocab_size=5)
CONFIG, MODEL, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# What stands where something else should: of every JSON type, and numbers out of range.
MISFITS = [None, "x", "3", -1, 0, 1.5, [], {}, [1], True, {"a": 1}]


@pytest.fixture(autouse=True)
def as_users_meet_it(request, monkeypatch):
    if "fractions" in request.node.name:
        return
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(params=[1, 2], ids=["dense", "experts"])
def folder(request, tmp_path):
    mixlab.save(Transformer(TransformerConfig.tiny(**SIZES, n_experts=request.param)), tmp_path)
    return tmp_path


@pytest.fixture
def mistral_folder(tmp_path):
    model = Transformer(TransformerConfig.tiny(**SIZES))
    save_file(model.state_dict(), tmp_path / "consolidated.safetensors")
    params = SIZES | dict(norm_eps=1e-5, rope_theta=1e4, sliding_window=4, moe=None)
    (tmp_path / "params.json").write_text(json.dumps(params | dict(tied_embeddings=False)))
    return tmp_path


@pytest.fixture
def mamba_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = dict(hidden_size=8, num_hidden_layers=1, vocab_size=5, state_size=2)
    transformers.MambaForCausalLM(transformers.MambaConfig(**sizes)).save_pretrained(tmp_path)
    return tmp_path


def loads_or_tells(folder):
    """Loading ends in a model that runs, or in a ValueError; anything else is a bug."""
    try:
        model = mixlab.load(folder)
    except ValueError:
        return False
    with torch.no_grad():
        model(torch.tensor([[0]]))
    return True


def try_misfits(file, keys=()):
    """Put every misfit in place of every entry; how many were refused."""
    written, refused = json.loads(file.read_text()), 0
    for key in [*written, *keys]:
        for misfit in MISFITS:
            file.write_text(json.dumps(written | {key: misfit}))
            refused += not loads_or_tells(file.parent)
    file.write_text(json.dumps(written))
    return refused


def test_any_wrong_entry_of_a_hugging_face_config(folder):
    assert try_misfits(folder / CONFIG, ["rope_parameters", "rope_scaling", "layer_types"]) > 100


def test_any_wrong_entry_of_mistrals_params(mistral_folder):
    assert try_misfits(mistral_folder / "params.json") > 80


def test_any_wrong_entry_of_a_mamba_config(mamba_folder):
    assert try_misfits(mamba_folder / CONFIG) > 80


def test_flipped_bits_in_the_header(folder):
    whole, draw = (folder / MODEL).read_bytes(), random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for place in draw.sample(range(header), 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        (folder / MODEL).write_bytes(damaged)
        refused += not loads_or_tells(folder)
    assert refused > 100


@pytest.mark.parametrize("kept", [0, 1, 8, 50, 0.5, -1])
def test_cut_files(folder, kept):
    whole = (folder / MODEL).read_bytes()
    (folder / MODEL).write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else kept])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        mixlab.load(folder)


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"weight_map": 3},
        {"weight_map": []},
        {"weight_map": {"a": 3}},
        {"weight_map": {"a": "../elsewhere.safetensors"}},
    ],
)
def test_an_index_that_is_none(folder, index):
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match="under 'weight_map'"):
        mixlab.load(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.int64])
def test_numbers_that_are_no_weights(folder, dtype):
    stored = {name: tensor.to(dtype) for name, tensor in load_file(folder / MODEL).items()}
    save_file(stored, folder / MODEL)
    with pytest.raises(ValueError, match="quantised"):
        mixlab.load(folder)


def test_a_dtype_that_no_model_computes_in(folder):
    with pytest.raises(ValueError, match="dtype must be one of"):
        mixlab.load(folder, dtype=torch.int8)


def test_misshapen_stacks_of_experts_are_named(folder):
    tensors = load_file(folder / MODEL)
    tensors["model.layers.0.mlp.experts.gate_up_proj"] = torch.zeros(3)
    save_file(tensors, folder / MODEL)
    with pytest.raises(ValueError, match=r"surplus: .*w13"):
        mixlab.load(folder)


def test_paths_of_every_kind(folder, tmp_path, monkeypatch):
    strange = tmp_path / "sp äß 名 (1)"
    config = mixlab.load(folder).config
    strange.mkdir()
    for name in (CONFIG, MODEL):
        (folder / name).rename(strange / name)
    monkeypatch.chdir(tmp_path)
    assert mixlab.load(strange.name).config == config
    assert mixlab.load(f"./{strange.name}/../{strange.name}").config == config
    strange.chmod(0o555)
    assert mixlab.load(strange).config == config
    strange.chmod(0o755)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_saved_loaded_and_saved_again_is_the_same_file(folder, tmp_path, dtype):
    mixlab.save(mixlab.load(folder).to(dtype), tmp_path / "once", max_shard_bytes=900)
    mixlab.save(mixlab.load(tmp_path / "once"), tmp_path / "twice", max_shard_bytes=900)
    names = sorted(file.name for file in (tmp_path / "once").iterdir())
    assert len(names) > 3
    assert names == sorted(file.name for file in (tmp_path / "twice").iterdir())
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_saving_replaces_a_checkpoint_and_nothing_else(folder):
    for name in ("model_ema.safetensors", "model-before.safetensors", "notes.txt"):
        (folder / name).write_text("mine")
    (folder / "model-00001-of-00002.safetensors").write_text("an older checkpoint's shard")
    mixlab.save(mixlab.load(folder), folder)
    kept = ["model-before.safetensors", MODEL, "model_ema.safetensors", "notes.txt"]
    assert sorted(file.name for file in folder.iterdir()) == [CONFIG, *kept]


def test_whole_numbers_where_files_write_fractions(folder):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"rope_theta": 1_000_000}))
    assert mixlab.load(folder).config.rope_theta == 1e6
