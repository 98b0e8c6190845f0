"""Tokenizers rebuilt from files split hard strings exactly as transformers does."""

import json

import gguf
import pytest
from tokenizers import Tokenizer

import mixlab

HARD = [
    "",
    " ",
    "The cat sat on the mat.",
    "  two leading spaces, and  two inside  ",
    "\ttab\n\n\nthree newlines\r\nand a return",
    "1234567890 3.14159 1,000,000 0x1F 2026-11-23",
    "don't we'll they'VE I'm",
    "naïve façade Ærøskøbing Straße İstanbul",
    "日本語のテキスト 中文 한국어 ไทย العربية עברית हिन्दी",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u00e9 \u200b zero-width \ufeff",
    "ﬁ ﷺ ∑ 𝕳𝖊𝖑𝖑𝖔 \x00\x07\x7f",
    "def f(x):\n    return x**2 if x else None  # comment\n",
    "#include <vector>\nint main() { std::vector<int> v{1,2,3}; }",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|>after<|endoftext|><|im_start|> not special: <|im_nothing|>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 5,
    'https://example.org/a?b=c&d=%20#e  {"json": [1, 2.5e-3, null]}',
]


@pytest.fixture(scope="module")
def ours():
    return mixlab.tokenizer(mixlab.smollm2())


@pytest.fixture(scope="module")
def theirs():
    from transformers import AutoTokenizer

    path = mixlab.smollm2()
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


@pytest.mark.parametrize("text", HARD)
def test_hard_strings(ours, theirs, text):
    ids = ours.encode(text).ids
    assert ids == theirs(text, add_special_tokens=False).input_ids
    assert ours.decode(ids, skip_special_tokens=False) == text


def test_sizes_and_special_tokens(ours):
    assert ours.get_vocab_size() == 49_152
    for special in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"):
        assert len(ours.encode(special).ids) == 1
    assert ours.decode(ours.encode("<|im_start|>hi<|im_end|>").ids) == "hi"


def test_numerals_that_are_no_decimal_digits_stand_alone(ours):
    """SmolLM2's own tokenizer.json parts every numeric character from the space before it;
    transformers' reading of the GGUF file leaves that rule out, so it can't be asked here."""
    for numeral in "①½Ⅷ":
        assert ours.encode(f"a {numeral}").tokens[:2] == ["a", "Ġ"]
    assert ours.decode(ours.encode("① ½ Ⅷ").ids) == "① ½ Ⅷ"


def test_all_text_survives_that_the_vocabulary_can_spell(ours):
    """Six control characters have no token in SmolLM2's vocabulary and are dropped."""
    lost = {chr(c) for c in (0x4, 0x6, 0x13, 0x14, 0x16, 0x1D)}
    text = "".join(c for c in map(chr, range(0x3000)) if c not in lost)
    assert ours.decode(ours.encode(text).ids) == text
    assert ours.decode(ours.encode("".join(sorted(lost))).ids) == ""


def test_a_folder_s_tokenizer_json(ours, tmp_path):
    ours.save(str(tmp_path / "tokenizer.json"))
    assert mixlab.tokenizer(tmp_path).encode(HARD[8]).ids == ours.encode(HARD[8]).ids


def test_a_folder_without_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json"):
        mixlab.tokenizer(tmp_path)


@pytest.mark.parametrize(("kind", "pre"), [("t5", "default"), ("gpt2", "qwen2"), (None, "default")])
def test_unknown_kinds_are_told(tmp_path, kind, pre):
    path = tmp_path / "vocab.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    if kind:
        writer.add_tokenizer_model(kind)
        writer.add_tokenizer_pre(pre)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ValueError, match=f"kind {kind!r} with pre-tokenizer {pre!r}"):
        mixlab.tokenizer(path)


def test_a_path_that_holds_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        mixlab.tokenizer(tmp_path / "nowhere.gguf")


def small_gguf(path, types=(1, 1, 1, 1, 4, 3), bos=False, eos=False):
    """A vocabulary of six: letters, one merge, a word that was added, and a special token."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["a", "b", "c", "ab", "abc", "<|end|>"])
    writer.add_token_merges(["a b"])
    if types:
        writer.add_token_types(list(types))
    writer.add_bos_token_id(5)
    writer.add_eos_token_id(5)
    writer.add_add_bos_token(bos)
    writer.add_add_eos_token(eos)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_words_that_the_makers_added_are_found_before_merging(tmp_path):
    """No merge leads to abc, yet it is one token; it is part of the text, so decoding keeps it."""
    encode = mixlab.tokenizer(small_gguf(tmp_path / "small.gguf"))
    assert encode.encode("ababc<|end|>c").tokens == ["ab", "abc", "<|end|>", "c"]
    assert encode.decode(encode.encode("abc<|end|>").ids) == "abc"


def test_damaged_tokenizers(tmp_path):
    with pytest.raises(ValueError, match="6 tokens and 0 types"):
        mixlab.tokenizer(small_gguf(tmp_path / "small.gguf", types=()))
    (tmp_path / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(ValueError, match="is no tokenizer"):
        mixlab.tokenizer(tmp_path)


@pytest.mark.parametrize(("bos", "eos"), [(True, False), (False, True), (True, True)])
def test_texts_begin_and_end_as_the_file_says(tmp_path, bos, eos):
    encode = mixlab.tokenizer(small_gguf(tmp_path / "small.gguf", bos=bos, eos=eos))
    assert encode.encode("ab").tokens == ["<|end|>"] * bos + ["ab"] + ["<|end|>"] * eos
    assert encode.encode("ab", add_special_tokens=False).tokens == ["ab"]


def test_what_a_training_run_cut_and_filled_texts_to_is_not_how_a_text_is_read(ours, tmp_path):
    ours.save(str(tmp_path / "tokenizer.json"))
    changed = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    changed.enable_truncation(4)
    changed.enable_padding(length=8)
    changed.save(str(tmp_path / "tokenizer.json"))
    for text in (HARD[2], "hello"):
        assert mixlab.tokenizer(tmp_path).encode(text).ids == ours.encode(text).ids


@pytest.mark.parametrize("file", ["added_tokens.json", "tokenizer_config.json"])
def test_tokens_that_stand_beside_tokenizer_json(ours, tmp_path, file):
    ours.save(str(tmp_path / "tokenizer.json"))
    facts = {"content": "<|tool|>", "special": True}
    beside = {
        "added_tokens.json": {"<|tool|>": 49_152},
        "tokenizer_config.json": {"added_tokens_decoder": {"49152": facts}},
    }
    (tmp_path / file).write_text(json.dumps(beside[file]))
    assert mixlab.tokenizer(tmp_path).encode("a<|tool|>b").ids[1] == 49_152
    wrong = json.dumps(beside[file]).replace("49152", "50000")
    (tmp_path / file).write_text(wrong)
    with pytest.raises(ValueError, match="as number 50000"):
        mixlab.tokenizer(tmp_path)
