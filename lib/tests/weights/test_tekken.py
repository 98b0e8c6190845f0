"""tekken.json, as published and small ones, gives what tiktoken gives."""

import base64
import json

import gguf
import pytest

import mixlab
from mixlab.weights.tekken import PATTERN, from_tekken
from tests.weights.originals import published, texts

tiktoken = pytest.importorskip("tiktoken")
WORDS = [b" ", b"th", b" the", b"he", b"  ", b" 1", b"ab", b"ba", b"aba", "é".encode(), b"\xf0\x9f"]


def original(given):
    """The encoder that mistral-common builds from the file's content, ids before special tokens."""
    config = given["config"]
    count = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {
        base64.b64decode(token["token_bytes"]): token["rank"] for token in given["vocab"][:count]
    }
    return tiktoken.Encoding(
        "tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={}
    )


def small(**changes):
    """A file of 256 bytes and eleven words, twenty-three special tokens before them."""
    tokens = [bytes([byte]) for byte in range(256)] + WORDS[1:]
    vocab = [
        dict(rank=rank, token_bytes=base64.b64encode(token).decode(), token_str=None)
        for rank, token in enumerate(tokens)
    ]
    config = dict(pattern=PATTERN, num_vocab_tokens=len(vocab), version="v3")
    config |= dict(default_vocab_size=len(vocab) - 1 + 23, default_num_special_tokens=23)
    return dict(config=config, vocab=vocab) | changes


def write(folder, given):
    file = folder / "tekken.json"
    file.write_text(json.dumps(given))
    return file


def assert_same(ours, theirs, first, tried):
    ours.encode_special_tokens = True
    for text in tried:
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == [first + number for number in theirs.encode(text)], repr(text)
        assert ours.decode(ids) == text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tekken_240718.json", "tekken_240911.json"])
def test_two_thousand_texts_become_the_tokens_of_the_original(name):
    file = published(name)
    ours = mixlab.tokenizer(file)
    assert ours.get_vocab_size() == 131_072
    assert ours.encode("a[INST]<SPECIAL_999>").ids == [1, ours.token_to_id("a"), 3, 999]
    assert_same(ours, original(json.loads(file.read_text())), 1_000, [*texts(), "<s>[INST]</s>"])


def test_a_small_file(tmp_path):
    given = small()
    ours = mixlab.tokenizer(write(tmp_path, given))
    assert ours.encode("the[INST]").ids == [1, *(23 + n for n in original(given).encode("the")), 3]
    assert_same(ours, original(given), 23, texts(500, seed=4))
    assert mixlab.tokenizer(tmp_path).encode("x").ids[0] == 1
    (tmp_path / "params.json").write_text(json.dumps({"vocab_size": 131_072}))
    with pytest.raises(ValueError, match=r"params\.json gives the model 131072"):
        mixlab.tokenizer(tmp_path)
    (tmp_path / "params.json").write_text(json.dumps({"vocab_size": ours.get_vocab_size()}))
    assert mixlab.stop_tokens(tmp_path) == (2,)


def test_files_that_name_their_special_tokens(tmp_path):
    named = [
        dict(rank=rank, token_str=token, is_control=True)
        for rank, token in enumerate(["<unk>", "<s>", "</s>", "[THINK]"])
    ]
    ours = mixlab.tokenizer(write(tmp_path, small(special_tokens=named)))
    assert ours.encode("[THINK]<SPECIAL_4>[INST]").ids[:3] == [1, 3, 4]
    named[3]["rank"] = 7
    with pytest.raises(ValueError, match="special_tokens must have the ranks"):
        mixlab.tokenizer(write(tmp_path, small(special_tokens=named)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(config={}), "KeyError: 'default_num_special_tokens'"),
        (dict(config=small()["config"] | dict(byte_fallback=1)), "unknown .*: byte_fallback"),
        (dict(config=small()["config"] | dict(pattern="(")), "end pattern"),
        (dict(config=small()["config"] | dict(default_vocab_size=400)), "377 tokens of the ranks"),
        (dict(vocab=small()["vocab"][::-1]), "of the ranks 0, 1, 2"),
        (dict(vocab=[dict(rank=r, token_bytes="?") for r in range(300)]), "binascii.Error|Error"),
    ],
)
def test_damaged_files(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        mixlab.tokenizer(write(tmp_path, small(**changes)))
    (tmp_path / "tekken.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="Git LFS pointer"):
        mixlab.tokenizer(tmp_path)


def test_the_pattern_is_that_of_the_files():
    for name in ("tekken_240718.json", "tekken_240911.json"):
        assert json.loads(published(name).read_text())["config"]["pattern"] == PATTERN


def test_a_gguf_file(tmp_path):
    """llama.cpp stores the merges; a text begins with <s> unless the file says otherwise."""
    given = small()
    built = from_tekken(write(tmp_path, given))
    tokens = [built.id_to_token(number) for number in range(built.get_vocab_size())]
    merges = [" ".join(pair) for pair in json.loads(built.to_str())["model"]["merges"]]
    for bos in ([], [True], [False]):
        writer = gguf.GGUFWriter(file := tmp_path / "nemo.gguf", "llama")
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("tekken")
        writer.add_token_list(tokens)
        writer.add_token_types([3] * 23 + [1] * (len(tokens) - 23))
        writer.add_token_merges(merges)
        writer.add_bos_token_id(1)
        for said in bos:
            writer.add_add_bos_token(said)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        ours = mixlab.tokenizer(file)
        assert ours.encode("a the").tokens[:-2] == ["<s>"] * (bos != [False])
    assert_same(ours, original(given), 23, texts(300, seed=5))
