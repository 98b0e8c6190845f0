"""SentencePiece files, Mistral's and ones trained here, give what SentencePiece gives."""

import io
import json

import gguf
import pytest

import mixlab
from tests.weights.originals import published, texts

sentencepiece = pytest.importorskip("sentencepiece")
VERSIONS = {
    "v1": "tokenizer.model.v1",
    "v2": "mistral_instruct_tokenizer_240216.model.v2",
    "v3": "mistral_instruct_tokenizer_240323.model.v3",
    "v7": "mistral_instruct_tokenizer_241114.model.v7",
}


def trained(file, **options):
    """A small model of SentencePiece, and its own processor."""
    written = io.BytesIO()
    options = dict(vocab_size=1_000, byte_fallback=True, character_coverage=0.98) | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts(300, seed=1)),
        model_writer=written,
        minloglevel=2,
        **dict(model_type="bpe", normalization_rule_name="identity", max_sentence_length=10_000)
        | dict(remove_extra_whitespaces=False, hard_vocab_limit=False)
        | options,
    )
    file.write_bytes(written.getvalue())
    return mixlab.tokenizer(file), sentencepiece.SentencePieceProcessor(model_file=str(file))


def assert_same(ours, theirs, tried):
    """Token by token, and back; marks such as <s> are plain text to the original."""
    ours.encode_special_tokens = True
    for text in tried:
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == theirs.encode(text), repr(text)
        assert ours.decode(ids) == theirs.decode(ids), repr(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_two_thousand_texts_become_the_tokens_of_the_original(version):
    file = published(VERSIONS[version])
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(file))
    ours = mixlab.tokenizer(file)
    assert ours.get_vocab_size() == theirs.get_piece_size()
    marks = ["<s>", "a</s>b", "[INST] Hi [/INST]", "<unk>", "<0x41>", "x[REFERENCE_DOC_3] y"]
    assert_same(ours, theirs, [*texts(), *marks])


def test_texts_begin_as_the_model_s_do_and_marks_are_tokens():
    """Between marks a text is what its template wrote: only the first gets a space of its own."""
    ours = mixlab.tokenizer(published(VERSIONS["v3"]))
    assert ours.encode("Hi").tokens == ["<s>", "▁Hi"]
    assert ours.encode("Hi", add_special_tokens=False).tokens == ["▁Hi"]
    chat = ours.encode("<s>[INST] Hi[/INST]", add_special_tokens=False)
    assert chat.tokens == ["<s>", "[INST]", "▁Hi", "[/INST]"]
    assert ours.decode(chat.ids) == "Hi"


def test_half_a_character_is_never_shown():
    ours, shown = mixlab.tokenizer(published(VERSIONS["v1"])), []
    on_token = mixlab.stream(ours, lambda prompt, text: shown.append(text))
    for token in ours.encode("Hi 🙂 there").ids:
        on_token(0, token)
    assert shown == ["Hi", " ", "🙂", " there"]


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(byte_fallback=False),
        dict(add_dummy_prefix=False),
        dict(bos_id=-1, eos_id=-1),
        dict(unk_id=2, bos_id=1, eos_id=0),
        dict(split_by_whitespace=False, vocab_size=1_200),
        dict(control_symbols=["[INST]"], allow_whitespace_only_pieces=True),
    ],
)
def test_fresh_models_too(tmp_path, options):
    ours, theirs = trained(tmp_path / "tokenizer.model", **options)
    if theirs.bos_id() >= 0:
        assert ours.encode("a").ids[0] == theirs.bos_id()
    ours.encode_special_tokens = True
    for text in texts(400, seed=2):
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == theirs.encode(text), repr(text)


def test_words_that_the_makers_added(tmp_path):
    ours, theirs = trained(tmp_path / "tokenizer.model", user_defined_symbols=["<tool>", "🙂"])
    assert_same(ours, theirs, ["a<tool>b", " <tool> b🙂🙂", "x🙂"])
    # The one difference: no space of its own before a text that begins with such a word.
    assert ours.encode("<tool>b", add_special_tokens=False).tokens == ["<tool>", "b"]
    assert theirs.encode("<tool>b", out_type=str) == ["▁", "<tool>", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(model_type="unigram"), "trainer_spec.model_type = 1"),
        (dict(normalization_rule_name="nmt_nfkc"), "normalizer_spec.precompiled_charsmap"),
        (dict(remove_extra_whitespaces=True), "normalizer_spec.remove_extra_whitespaces = 1"),
        (dict(treat_whitespace_as_suffix=True), "trainer_spec.treat_whitespace_as_suffix = 1"),
    ],
)
def test_what_is_not_done_here_is_told_by_its_key(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        trained(tmp_path / "tokenizer.model", **options)


def test_damaged_files(tmp_path):
    file = tmp_path / "tokenizer.model"
    trained(file)
    whole = file.read_bytes()
    for damaged in (
        whole[:-7],
        whole[: len(whole) // 2],
        b"",
        b"<html>not found</html>",
        whole[3:],
    ):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="no whole SentencePiece model"):
            mixlab.tokenizer(file)
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 493443\n")
    with pytest.raises(ValueError, match="Git LFS pointer"):
        mixlab.tokenizer(file)


def test_a_mistral_folder(tmp_path):
    _, theirs = trained(tmp_path / "tokenizer.model.v3")
    size = theirs.get_piece_size()
    (tmp_path / "params.json").write_text(json.dumps({"vocab_size": size}))
    assert mixlab.tokenizer(tmp_path).encode("cat").ids == [1, *theirs.encode("cat")]
    assert mixlab.stop_tokens(tmp_path) == (theirs.eos_id(),)
    (tmp_path / "params.json").write_text(json.dumps({"vocab_size": size + 768}))
    with pytest.raises(ValueError, match=rf"has {size} tokens, and params\.json .* {size + 768}"):
        mixlab.tokenizer(tmp_path)
    trained(tmp_path / "tokenizer.model")
    with pytest.raises(ValueError, match=r"2 tokenizers: tokenizer\.model, tokenizer\.model\.v3"):
        mixlab.tokenizer(tmp_path)


def test_a_hugging_face_folder_may_be_padded_but_not_cut(tmp_path):
    _, theirs = trained(tmp_path / "tokenizer.model")
    size = theirs.get_piece_size()
    for vocab_size in (size, size + 64):
        (tmp_path / "config.json").write_text(json.dumps({"vocab_size": vocab_size}))
        assert mixlab.tokenizer(tmp_path).get_vocab_size() == size
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": size - 1}))
    with pytest.raises(ValueError, match=r"config\.json gives"):
        mixlab.tokenizer(tmp_path)


def as_gguf(file, theirs, scores=None, **facts):
    """A model of SentencePiece as llama.cpp stores it."""
    numbers = range(theirs.get_piece_size())
    kinds = {"is_unknown": 2, "is_control": 3, "is_unused": 5, "is_byte": 6}
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([theirs.id_to_piece(n) for n in numbers])
    writer.add_token_scores(scores or [theirs.get_score(n) for n in numbers])
    writer.add_token_types(
        [next((k for is_, k in kinds.items() if getattr(theirs, is_)(n)), 1) for n in numbers]
    )
    writer.add_bos_token_id(theirs.bos_id())
    writer.add_eos_token_id(theirs.eos_id())
    for key, value in facts.items():
        writer.add_bool(f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return file


def test_the_gguf_file_of_mistral_7b(tmp_path):
    file = str(published(VERSIONS["v1"]))
    theirs = sentencepiece.SentencePieceProcessor(model_file=file)
    ours = mixlab.tokenizer(as_gguf(tmp_path / "mistral.gguf", theirs))
    assert ours.to_str() == mixlab.tokenizer(file).to_str()


def test_a_gguf_file_begins_texts_as_llama_cpp_does(tmp_path):
    _, theirs = trained(tmp_path / "tokenizer.model")
    ours = mixlab.tokenizer(as_gguf(tmp_path / "plain.gguf", theirs))
    assert ours.encode("cat").ids == [1, *theirs.encode("cat")]
    assert_same(ours, theirs, texts(300, seed=3))
    facts = dict(add_bos_token=False, add_eos_token=True, add_space_prefix=False)
    ours = mixlab.tokenizer(as_gguf(tmp_path / "other.gguf", theirs, **facts))
    assert ours.encode(" cat").ids == [*theirs.encode("cat"), 2]


def test_a_gguf_file_that_says_too_little_or_too_much(tmp_path):
    _, theirs = trained(tmp_path / "tokenizer.model")
    equal = [-1000.0] * theirs.get_piece_size()
    with pytest.raises(ValueError, match=r"pieces the score -1000, .* without scores"):
        mixlab.tokenizer(as_gguf(tmp_path / "equal.gguf", theirs, equal))
    with pytest.raises(ValueError, match=r"tokenizer\.ggml\.remove_extra_whitespaces"):
        mixlab.tokenizer(as_gguf(tmp_path / "n.gguf", theirs, remove_extra_whitespaces=True))
    size = theirs.get_piece_size()
    with pytest.raises(ValueError, match=rf"{size} tokens, 3 scores"):
        mixlab.tokenizer(as_gguf(tmp_path / "short.gguf", theirs, equal[:3]))
