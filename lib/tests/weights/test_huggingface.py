"""Hugging Face folders: logits as transformers computes them, both ways, and damage."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import mixlab
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.weights.huggingface import read_config
from tests.weights.transformers_models import logits, reference

MODEL = "model.safetensors"
VARIANTS = {
    "no window": dict(),
    "window": dict(sliding_window=7),
    "window 1": dict(sliding_window=1),
    "tied": dict(tie_word_embeddings=True, sliding_window=16),
    "one group": dict(num_key_value_heads=4),
    "all queries on one key": dict(num_key_value_heads=1, sliding_window=9),
    "wide heads, other base and epsilon": dict(
        head_dim=32, rms_norm_eps=1e-3, rope_parameters=dict(rope_type="default", rope_theta=123.0)
    ),
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("family", ["mistral", "mixtral"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_transformers(family, variant, folder):
    """At lengths under and far over the window, and in a batch."""
    theirs = reference(family, **VARIANTS[variant])
    theirs.save_pretrained(folder)
    ours = mixlab.load(folder)
    for batch, seq in [(1, 1), (2, 5), (1, 150)]:
        tokens = torch.randint(128, (batch, seq), generator=torch.Generator().manual_seed(seq))
        torch.testing.assert_close(logits(ours, tokens), logits(theirs, tokens), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("n_experts", "k"), [(8, 2), (3, 1), (4, 4)])
def test_any_number_of_experts(n_experts, k, folder):
    theirs = reference("mixtral", num_local_experts=n_experts, num_experts_per_tok=k)
    theirs.save_pretrained(folder)
    tokens = torch.arange(60)[None]
    torch.testing.assert_close(
        logits(mixlab.load(folder), tokens), logits(theirs, tokens), rtol=0, atol=1e-4
    )


def test_a_mixture_of_one_expert_is_a_dense_model(folder):
    theirs = reference("mixtral", num_local_experts=1, num_experts_per_tok=1)
    theirs.save_pretrained(folder)
    tokens = torch.arange(60)[None]
    expected = logits(theirs, tokens)
    torch.testing.assert_close(logits(mixlab.load(folder), tokens), expected, rtol=0, atol=1e-4)
    save_file({n: x.contiguous() for n, x in theirs.state_dict().items()}, folder / MODEL)
    torch.testing.assert_close(logits(mixlab.load(folder), tokens), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("changes", [{}, dict(num_key_value_heads=None, tie_word_embeddings=True)])
def test_llama_computes_the_same(folder, changes):
    theirs = reference("llama", **changes)
    theirs.save_pretrained(folder)
    tokens = torch.arange(90)[None]
    torch.testing.assert_close(
        logits(mixlab.load(folder), tokens), logits(theirs, tokens), rtol=0, atol=1e-4
    )


def test_what_llama_s_config_leaves_out_is_its_own_default(folder):
    reference("llama").save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    for key in ("num_key_value_heads", "rms_norm_eps", "max_position_embeddings", "head_dim"):
        written.pop(key)
    (folder / "config.json").write_text(json.dumps(written))
    config = read_config(folder)
    assert (config.n_kv_heads, config.head_dim, config.window) == (4, 16, None)
    assert (config.norm_eps, config.max_seq) == (1e-6, 2048)


def test_each_layer_may_have_its_own_window(folder):
    types = ["sliding_attention", "full_attention", "sliding_attention"]
    theirs = reference("ministral", num_hidden_layers=3, sliding_window=5, layer_types=types)
    theirs.save_pretrained(folder)
    ours = mixlab.load(folder)
    assert ours.config.window == (5, None, 5)
    tokens = torch.arange(90)[None]
    torch.testing.assert_close(logits(ours, tokens), logits(theirs, tokens), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": ["chunked_attention", "full_attention"]}, "chunked_attention"),
        ({"layer_types": ["sliding_attention"] * 2, "sliding_window": None}, "no sliding_window"),
        ({"layer_types": ["full_attention"]}, "one for each of the 2 layers"),
    ],
)
def test_layers_of_other_types_are_refused(folder, changes, message):
    reference().save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(written | changes))
    with pytest.raises(ValueError, match=message):
        mixlab.load(folder)


def test_a_folder_saved_again_as_one_file_beside_a_stale_index(folder):
    theirs = reference()
    theirs.save_pretrained(folder)
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    tokens = torch.arange(60)[None]
    torch.testing.assert_close(
        logits(mixlab.load(folder), tokens), logits(theirs, tokens), rtol=0, atol=1e-4
    )


def test_a_model_without_its_head_hears_of_tied_embeddings(folder):
    reference(tie_word_embeddings=True).save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(written | {"tie_word_embeddings": False}))
    with pytest.raises(ValueError, match=r"must say\s+tie_word_embeddings = true"):
        mixlab.load(folder)


def test_experts_stacked_as_transformers_keeps_them_in_memory(folder):
    theirs = reference("mixtral")
    theirs.save_pretrained(folder)
    state = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    assert any("gate_up_proj" in name for name in state)
    save_file(state, folder / "model.safetensors")
    tokens = torch.arange(60)[None]
    torch.testing.assert_close(
        logits(mixlab.load(folder), tokens), logits(theirs, tokens), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("family", ["mistral", "mixtral"])
def test_bfloat16_shards_with_an_index(family, folder):
    from transformers import AutoModelForCausalLM

    reference(family).bfloat16().save_pretrained(folder, max_shard_size="60KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    ours = mixlab.load(folder)
    assert {p.dtype for p in ours.parameters()} == {torch.bfloat16}
    converted = mixlab.load(folder, dtype=torch.float32)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor.float(), converted.state_dict()[name])
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.arange(50)[None]
    torch.testing.assert_close(logits(converted, tokens), logits(theirs, tokens), rtol=0, atol=1e-4)


def test_consolidated_copy_in_the_same_folder_is_not_mixed_in(folder):
    theirs = reference()
    theirs.save_pretrained(folder)
    save_file({"norm.weight": torch.zeros(64)}, folder / "consolidated.safetensors")
    assert torch.equal(mixlab.load(folder).norm.weight, theirs.model.norm.weight)


def test_training_a_loaded_model_leaves_its_file_alone(folder):
    reference("mixtral").save_pretrained(folder)
    before = (folder / "model.safetensors").read_bytes()
    model = mixlab.load(folder).requires_grad_(True)
    model(torch.arange(9)[None]).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= parameter.grad
    assert (folder / "model.safetensors").read_bytes() == before


# --- saving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_shard_bytes", [5_000_000_000, 100_000])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n_experts", [1, 4])
def test_saved_models_load_in_transformers_and_come_back_exactly(
    n_experts, tied, max_shard_bytes, folder
):
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    ours = Transformer(
        TransformerConfig.tiny(
            window=6,
            n_experts=n_experts,
            experts_per_token=min(2, n_experts),
            tie_embeddings=tied,
            rope_theta=500.0,
            head_dim=32,
        )
    ).eval()
    mixlab.save(ours, folder, max_shard_bytes)
    back = mixlab.load(folder)
    assert back.config == ours.config
    state = back.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.state_dict().items())
    theirs, report = AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager"
    )
    assert not any(report.values()), report
    tokens = torch.randint(256, (2, 40))
    torch.testing.assert_close(logits(ours, tokens), logits(theirs, tokens), rtol=0, atol=1e-4)
    if max_shard_bytes < 5_000_000_000:
        sizes = [len(load_file(file)) for file in folder.glob("model-*.safetensors")]
        assert len(sizes) > 2
        assert all(
            sum(t.numel() * t.element_size() for t in load_file(file).values()) <= max_shard_bytes
            or len(load_file(file)) == 1
            for file in folder.glob("model-*.safetensors")
        )


def test_saving_over_the_files_a_model_is_mapped_from(folder):
    theirs = reference("mixtral")
    theirs.save_pretrained(folder, max_shard_size="60KB")
    model = mixlab.load(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mixlab.save(model, folder)
    assert [f.name for f in folder.glob("*.safetensors")] == ["model.safetensors"]
    assert not list(folder.glob("*.index.json"))
    after = mixlab.load(folder).state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())


def test_what_hugging_face_cannot_say_is_refused(folder):
    with pytest.raises(ValueError, match="one window for all layers"):
        mixlab.save(Transformer(TransformerConfig.tiny(window=(3, None))), folder)
    with pytest.raises(ValueError, match="only a Transformer"):
        mixlab.save(torch.nn.Linear(2, 2), folder)
    assert not folder.exists()


# --- config.json -------------------------------------------------------------------------------


def write_config(folder, **given):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(given))
    return folder


@pytest.mark.parametrize("family", ["mistral", "mixtral"])
def test_keys_left_out_mean_what_transformers_means(family, folder):
    from transformers import MistralConfig, MixtralConfig

    theirs = {"mistral": MistralConfig, "mixtral": MixtralConfig}[family]()
    ours = read_config(write_config(folder, model_type=family))
    assert ours.window == theirs.sliding_window
    assert ours.norm_eps == theirs.rms_norm_eps
    assert ours.rope_theta == theirs.rope_parameters["rope_theta"]
    assert ours.n_kv_heads == theirs.num_key_value_heads
    assert (ours.dim, ours.hidden_dim) == (theirs.hidden_size, theirs.intermediate_size)
    assert ours.n_experts == getattr(theirs, "num_local_experts", 1)
    assert ours.experts_per_token == getattr(theirs, "num_experts_per_tok", 1)


def test_older_spellings(folder):
    config = read_config(
        write_config(
            folder,
            model_type="mistral",
            rope_theta=5000.0,
            rope_scaling=None,
            num_key_value_heads=None,
            head_dim=None,
        )
    )
    assert (config.rope_theta, config.n_kv_heads, config.head_dim) == (5000.0, 32, 128)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(rope_scaling=dict(type="linear", factor=2.0)), "rope_type = 'linear'"),
        (dict(rope_parameters=dict(rope_type="yarn", rope_theta=1e4)), "rope_type = 'yarn'"),
        (dict(hidden_act="gelu"), "hidden_act = 'gelu'"),
        (dict(attention_bias=True), "attention_bias = True"),
        (dict(quantization_config=dict(bits=4)), "quantization_config"),
        (dict(sliding_window=0), "window must be at least 1"),
        (dict(num_attention_heads=30), "multiple of n_kv_heads"),
        (dict(hidden_size="4096"), "hidden_size as a whole number"),
    ],
)
def test_what_this_model_does_not_compute_is_refused(asked, message, folder):
    with pytest.raises(ValueError, match=message):
        read_config(write_config(folder, model_type="mistral", **asked))


@pytest.mark.parametrize("family", ["gemma", "qwen2", None])
def test_other_families_are_refused(family, folder):
    with pytest.raises(ValueError, match=f"model family {family!r}"):
        mixlab.load(write_config(folder, model_type=family))


# --- damage ------------------------------------------------------------------------------------


@pytest.fixture
def saved(folder):
    reference("mixtral").save_pretrained(folder)
    return folder


def change(folder, edit):
    file = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    edit(tensors)
    save_file(tensors, file)


EXPERT = "model.layers.1.block_sparse_moe.experts.2.w3.weight"


def test_missing_surplus_and_misshapen_tensors_are_named_together(saved):
    def edit(tensors):
        del tensors[EXPERT]
        tensors["model.layers.9.bias"] = torch.zeros(3)
        tensors["lm_head.weight"] = torch.zeros(128, 65)

    change(saved, edit)
    with pytest.raises(ValueError, match="don't fit") as caught:
        mixlab.load(saved)
    message = str(caught.value)
    assert "missing: layers.1.feed_forward.experts.2.w3.weight" in message
    assert "surplus: model.layers.9.bias" in message
    assert "misshapen: output.weight (128, 65) instead of (128, 64)" in message


def test_a_long_list_is_cut(saved):
    change(saved, lambda t: [t.pop(name) for name in list(t) if ".experts." in name])
    with pytest.raises(ValueError, match=r"missing: layers\.0.* and 19 more"):
        mixlab.load(saved)


@pytest.mark.parametrize("kept", [0, 7, 300, -1, -4000])
def test_truncated_files(saved, kept):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"not a whole safetensors file.*again"):
        mixlab.load(saved)


def test_missing_shard(folder):
    reference().save_pretrained(folder, max_shard_size="60KB")
    next(iter(sorted(folder.glob("*.safetensors")))).unlink()
    with pytest.raises(ValueError, match=r"model-00001.*download cut short"):
        mixlab.load(folder)


def test_pickled_checkpoints_and_empty_folders(folder):
    write_config(folder, model_type="mistral")
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no model\*\.safetensors.*pytorch_model\.bin"):
        mixlab.load(folder)
    (folder / "config.json").write_text('{"model_type": ')
    with pytest.raises(ValueError, match="is no JSON"):
        mixlab.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"neither config\.json nor params\.json"):
        mixlab.load(folder)
    with pytest.raises(FileNotFoundError, match="no model at"):
        mixlab.load(folder / "nowhere")


# --- memory ------------------------------------------------------------------------------------

MEASURE = """
import sys, torch, mixlab
from mixlab.weights import huggingface  # what load imports counts as the library, not the weights
def resident(key):
    return int(next(l for l in open("/proc/self/status") if l.startswith(key)).split()[1]) * 1024
path, dtype, run = sys.argv[1:]
torch.ones(64, 64) @ torch.ones(64, 64)
before = resident("VmRSS")
model = mixlab.load(path, dtype=getattr(torch, dtype, None))
if run == "run":
    for parameter in model.parameters():
        parameter.sum()
print(resident("VmHWM") - before, sum(p.numel() * p.element_size() for p in model.parameters()))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Checkpoints of about 200 MB: a dense one in two files, and one with experts in one."""
    made = {}
    for n_experts in (1, 8):
        config = TransformerConfig.tiny(
            dim=512,
            head_dim=64,
            hidden_dim=4096 if n_experts == 1 else 1024,
            n_layers=8 if n_experts == 1 else 4,
            n_heads=8,
            vocab_size=4096,
            n_experts=n_experts,
            experts_per_token=min(n_experts, 2),
        )
        folder = tmp_path_factory.mktemp(f"large{n_experts}")
        mixlab.save(Transformer(config).bfloat16(), folder / "bf16", 90_000_000)
        mixlab.save(Transformer(config), folder / "fp32")
        made[n_experts] = folder
    return made


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("n_experts", [1, 8])
@pytest.mark.parametrize(
    ("stored", "dtype", "run"),
    [("fp32", "as_stored", "run"), ("bf16", "float32", "load"), ("fp32", "bfloat16", "load")],
)
def test_peak_memory_is_that_of_the_weights(large, n_experts, stored, dtype, run):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, large[n_experts] / stored, dtype, run],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, weights = map(int, done.stdout.split())
    assert weights > 90_000_000
    assert grown < 1.3 * weights, f"{grown / weights:.2f} times the weights"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_dense_weights_stay_on_disk_until_used(large):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, large[1] / "fp32", "as_stored", "load"],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, weights = map(int, done.stdout.split())
    assert grown < 0.2 * weights
