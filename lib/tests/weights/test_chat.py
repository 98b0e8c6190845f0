"""Conversations in a model's own form, as transformers writes them, and what ends an answer."""

import json

import pytest

import mixlab

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi! <b>"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Why?\n"},
]
TEMPLATE = """{{ bos_token }}{% for message in messages %}
    {%- if message.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}
[{{ message.role }}] {{ message.content | trim }}{{ eos_token if message.role == 'assistant' }}
{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"""


@pytest.fixture(scope="module")
def ours():
    return mixlab.tokenizer(mixlab.smollm2())


@pytest.mark.parametrize("messages", [TALK, TALK[1:2], TALK[1:]])
def test_a_conversation_is_written_as_transformers_writes_it(messages):
    from transformers import AutoTokenizer

    path = mixlab.smollm2()
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True)
    assert mixlab.chat(path, messages) == expected["input_ids"]


def test_a_question_is_answered_and_the_answer_ends(ours):
    path = mixlab.smollm2()
    model, stop = mixlab.load(path), mixlab.stop_tokens(path)
    prompt = mixlab.chat(path, "What is the capital of France?")
    answer = mixlab.generate(model, [prompt], max_tokens=40, stop=stop)[0]
    assert ours.decode(answer) == "The capital of France is Paris."


@pytest.fixture
def folder(ours, tmp_path):
    ours.save(str(tmp_path / "tokenizer.json"))
    given = {"chat_template": TEMPLATE, "bos_token": "<|endoftext|>"}
    given["eos_token"] = {"content": "<|im_end|>", "lstrip": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(given))
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 0}))
    return tmp_path


def test_a_folder_s_template(folder, ours):
    text = ours.decode(mixlab.chat(folder, TALK[1:]), skip_special_tokens=False)
    assert text == (
        "<|endoftext|>[user] Hi! <b>\n[assistant] Hello.<|im_end|>\n[user] Why?\n[assistant]"
    )
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    assert ours.decode(mixlab.chat(folder, "Hi")) == "Hi!"
    several = [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert ours.decode(mixlab.chat(folder, "Hi")) == "D"


def test_stop_tokens_of_a_folder_are_the_model_s_and_the_tokenizer_s(folder):
    assert mixlab.stop_tokens(folder) == (0, 2)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 5]}))
    assert mixlab.stop_tokens(folder) == (2, 5)


def test_what_cannot_be_a_conversation(folder):
    with pytest.raises(ValueError, match="refuses these messages: no system here"):
        mixlab.chat(folder, TALK)
    with pytest.raises(ValueError, match=r"a list such as .* got {'role': 'user'} in it"):
        mixlab.chat(folder, [{"role": "user"}])
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no chat template"):
        mixlab.chat(folder, "Hi")


def test_a_template_can_do_nothing_but_write(folder):
    evil = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (folder / "chat_template.jinja").write_text(evil)
    with pytest.raises(ValueError, match="unsafe"):
        mixlab.chat(folder, "Hi")


@pytest.mark.parametrize("call", [mixlab.load, mixlab.tokenizer, mixlab.stop_tokens])
def test_a_hub_s_name_is_no_path(call):
    with pytest.raises(FileNotFoundError, match=r"hf download mistralai/Mistral-7B-v0\.1"):
        call("mistralai/Mistral-7B-v0.1")


def test_a_prompt_longer_than_what_was_trained_is_warned_of():
    from mixlab.transformer.config import TransformerConfig
    from mixlab.transformer.model import Transformer

    model = Transformer(TransformerConfig.tiny(max_seq=4))
    with pytest.warns(UserWarning, match="5 tokens is longer than the 4"):
        mixlab.generate(model, [[1], [1, 2, 3, 4, 5]], max_tokens=1)


def test_a_share_too_small_for_float32_still_keeps_a_token():
    import torch

    from mixlab.common.sampling import sample

    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert sample(logits, temperature=1.0, top_p=1e-60).tolist() == [1]
