"""Hugging Face folders of Mamba: the logits of transformers, and every fault of a file told."""

import json

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mixlab
from mixlab.ssm.mamba import Mamba

transformers = pytest.importorskip("transformers")


def reference(seed=0, **changes):
    """A random MambaForCausalLM with varied rates, steps, skips and norms."""
    sizes = dict(hidden_size=48, num_hidden_layers=3, vocab_size=90, state_size=5)
    torch.manual_seed(seed)
    model = transformers.MambaForCausalLM(transformers.MambaConfig(**(sizes | changes))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("A_log", "mixer.D", "bias", "norm.weight", "norm_f.weight")):
                parameter += torch.randn_like(parameter) * 0.3
            else:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
    return model


@pytest.fixture
def folder(tmp_path):
    reference().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(use_bias=True, use_conv_bias=False),
        dict(conv_kernel=3, expand=1, time_step_rank=7),
        dict(tie_word_embeddings=False, layer_norm_epsilon=1e-2),
    ],
)
@torch.no_grad()
def test_logits_are_those_of_transformers(tmp_path, changes):
    theirs = reference(**changes)
    theirs.save_pretrained(tmp_path)
    ours = mixlab.load(tmp_path)
    tokens = torch.randint(90, (3, 70), generator=torch.Generator().manual_seed(0))
    expected = theirs(tokens).logits
    assert expected.std() > 0.5  # an error would show
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-4)
    last, state = ours.prefill(tokens[:, :40])
    torch.testing.assert_close(last, expected[:, 39], rtol=0, atol=1e-4)
    for t in range(40, 70):
        last, state = ours.step(tokens[:, t], state)
        torch.testing.assert_close(last, expected[:, t], rtol=0, atol=1e-4)


def test_greedy_generation_is_that_of_transformers(folder):
    theirs, ours = reference(), mixlab.load(folder)
    prompt = [5, 17, 80, 3]
    out = theirs.generate(
        torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=None
    )
    assert mixlab.generate(ours, [prompt], max_tokens=12)[0] == out[0, 4:].tolist()


def test_sharded_folders_and_other_dtypes(tmp_path):
    model = reference()
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    tokens = torch.arange(30)[None]
    with torch.no_grad():
        expected = model(tokens).logits
    ours = mixlab.load(tmp_path)
    assert isinstance(ours, Mamba)
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-4)
    assert mixlab.load(tmp_path, dtype=torch.float64)(tokens).dtype == torch.float64


def test_tied_embeddings_are_one_tensor(folder):
    model = mixlab.load(folder)
    assert model.output.weight is model.tok_embeddings.weight
    assert model.config.n_parameters == sum(p.numel() for p in model.parameters())


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(hidden_act="gelu"), "hidden_act = 'gelu'"),
        (dict(intermediate_size=100), "intermediate_size = 100"),
        (dict(hidden_size="48"), "hidden_size as a whole number"),
        (dict(quantization_config={"bits": 4}), "quantization_config"),
        (dict(state_size=6), "misshapen: .*A_log"),
        (dict(num_hidden_layers=2), "surplus: layers.2"),
        (dict(num_hidden_layers=4), "missing: layers.3"),
    ],
)
def test_a_config_that_does_not_fit_is_told(folder, changes, match):
    edit(folder, **changes)
    with pytest.raises(ValueError, match=match):
        mixlab.load(folder)


def test_faulty_tensors_are_told(folder):
    file = folder / "model.safetensors"
    whole = load_file(file)
    name = "backbone.layers.1.mixer.A_log"

    def saved(tensors):
        save_file(tensors, file, metadata={"format": "pt"})
        return pytest.raises(ValueError, match=r"layers\.1\.mixer\.A_log")

    with saved({k: v for k, v in whole.items() if k != name}):
        mixlab.load(folder)
    with saved(whole | {name: torch.zeros(3, 3)}):
        mixlab.load(folder)
    with saved(whole | {"backbone.layers.1.mixer.A_logarithm": torch.zeros(1)}):
        mixlab.load(folder)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        mixlab.load(folder)


@torch.no_grad()
def test_a_folder_of_bin_files(folder):
    """As transformers wrote it before safetensors, whole or in shards."""
    tensors = load_file(folder / "model.safetensors")
    expected = mixlab.load(folder)(torch.tensor([[1, 2, 3]]))
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    torch.save({name: tensors[name] for name in names[:9]}, folder / "pytorch_model-1-of-2.bin")
    with pytest.raises(ValueError, match="missing: layers"):
        mixlab.load(folder)
    torch.save({name: tensors[name] for name in names[9:]}, folder / "pytorch_model-2-of-2.bin")
    assert mixlab.load(folder)(torch.tensor([[1, 2, 3]])).equal(expected)


GGUF_NAMES = {
    "backbone.embeddings.weight": "token_embd.weight",
    "backbone.norm_f.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "norm.weight": "attn_norm.weight",
    "mixer.A_log": "ssm_a",
    "mixer.D": "ssm_d",
    "mixer.conv1d": "ssm_conv1d",
    "mixer.dt_proj": "ssm_dt",
    "mixer.x_proj": "ssm_x",
    "mixer.in_proj": "ssm_in",
    "mixer.out_proj": "ssm_out",
}


def write_gguf(file, model, without=(), **extra):
    """A model of transformers as llama.cpp stores it."""
    config = model.config
    facts = {
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "vocab_size": config.vocab_size,
        "context_length": 1 << 20,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "ssm.conv_kernel": config.conv_kernel,
        "ssm.inner_size": config.intermediate_size,
        "ssm.state_size": config.state_size,
        "ssm.time_step_rank": config.time_step_rank,
    }
    writer = gguf.GGUFWriter(file, "mamba")
    for key, value in (facts | extra).items():
        if key not in without:
            writer.add_uint32(f"mamba.{key}", int(value))
    writer.add_layer_norm_rms_eps(config.layer_norm_epsilon)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        _, layers, part = name.partition("backbone.layers.")
        number, _, part = part.partition(".") if layers else ("", "", name)
        for theirs, stored in GGUF_NAMES.items():
            part = part.replace(theirs, stored) if part.startswith(theirs) else part
        array = tensor.numpy()
        if part == "ssm_a":
            array = -np.exp(array)
        if part == "ssm_conv1d.weight":
            array = array.squeeze(1)
        writer.add_tensor(f"blk.{number}.{part}" if layers else part, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(tie_word_embeddings=False, layer_norm_epsilon=1e-2),
        dict(conv_kernel=3, expand=1, time_step_rank=7),
        dict(use_conv_bias=False),
    ],
)
@torch.no_grad()
def test_a_gguf_file(tmp_path, changes):
    theirs = reference(**changes)
    ours = mixlab.load(write_gguf(tmp_path / "mamba.gguf", theirs))
    tokens = torch.randint(90, (2, 40), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=0, atol=1e-4)
    assert (
        mixlab.load(tmp_path / "mamba.gguf", dtype=torch.bfloat16)(tokens).dtype == torch.bfloat16
    )


def test_gguf_files_that_ask_for_more_or_say_too_little(tmp_path):
    file, model = tmp_path / "mamba.gguf", reference()
    with pytest.raises(ValueError, match=r"asks for mamba\.ssm\.dt_b_c_rms = 1"):
        mixlab.load(write_gguf(file, model, **{"ssm.dt_b_c_rms": 1}))
    with pytest.raises(ValueError, match=r"doesn't say mamba\.ssm\.state_size"):
        mixlab.load(write_gguf(file, model, without=["ssm.state_size"]))
    with pytest.raises(ValueError, match=r"a whole number of times as wide .* = 100"):
        mixlab.load(write_gguf(file, model, **{"ssm.inner_size": 100}))
    with pytest.raises(ValueError, match="surplus: layers"):
        mixlab.load(write_gguf(file, model, block_count=2))
