"""The tokenizer in a GGUF file: byte-level BPE, or SentencePiece under the name of "llama".

Keys that a file leaves out have llama.cpp's defaults, because that is what its writer relied on.
Source: the format's specification, in the ggml project's docs; Radford et al. (GPT-2, 2019),
section 2.2, for byte-level BPE.
"""

from collections.abc import Callable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from mixlab.weights.byte_pair import set_apart
from mixlab.weights.gguf_file import open_parts, read_field
from mixlab.weights.sentencepiece import Kind, Pieces, assemble
from mixlab.weights.tekken import PATTERN, splits

# How a text is split before merging, by the name in tokenizer.ggml.pre.
_PRE = {
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    # SmolLM splits numbers into single digits first, so that arithmetic sees every digit.
    "smollm": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    ),
    "tekken": splits(Regex(PATTERN)),
}


def from_gguf(path: Path) -> Tokenizer:
    """The tokenizer in a GGUF file, or in the first part of one that was split.

    Raises:
        ValueError: if it is of another kind, is damaged, or asks for something that isn't done
            here.
    """
    reader = open_parts(path)[0]

    def value(key: str, default=None):
        return read_field(reader, f"tokenizer.ggml.{key}", default)

    kind, pre = value("model"), value("pre", "default")
    if kind == "llama" and pre == "default":
        _refuse(path, value, "remove_extra_whitespaces", "precompiled_charsmap")
        return _sentencepiece(path, value)
    if kind == "gpt2" and pre in _PRE:
        _refuse(path, value, "add_space_prefix")
        return _byte_level(path, value, pre)
    raise ValueError(
        f"{path} carries a tokenizer of kind {kind!r} with pre-tokenizer {pre!r}: expected "
        f"SentencePiece ('llama'), or byte-level BPE ('gpt2') with one of {sorted(_PRE)}. Load "
        "the tokenizer.json of the same model from its Hugging Face folder instead"
    )


def _refuse(path: Path, value: Callable, *keys: str) -> None:
    for key in keys:
        if found := value(key):
            raise ValueError(
                f"{path} asks for tokenizer.ggml.{key} = {str(found)[:20]}, which this library "
                "doesn't do, and ignoring it would give wrong tokens. Use the model's "
                "tokenizer.json"
            )


def _sentencepiece(path: Path, value: Callable) -> Tokenizer:
    tokens = value("tokens", [])
    pieces = Pieces(
        pieces=tokens,
        scores=value("scores", []),
        kinds=value("token_type", []),
        space_first=value("add_space_prefix", True),
        first=_end(path, value, tokens, "bos", True),
        last=_end(path, value, tokens, "eos", False),
    )
    return assemble(pieces, str(path))


def _byte_level(path: Path, value: Callable, pre: str) -> Tokenizer:
    tokens, merges, kinds = (value(key, []) for key in ("tokens", "merges", "token_type"))
    if not tokens or len(kinds) != len(tokens):
        raise ValueError(
            f"{path} must give a type for each of its tokens: got {len(tokens)} tokens and "
            f"{len(kinds)} types. Convert the model again"
        )
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ")) for merge in merges]
    built = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=pre == "tekken"))
    built.pre_tokenizer = _PRE[pre]
    built.decoder = decoders.ByteLevel()
    special, words = (
        [token for token, kind in zip(tokens, kinds, strict=True) if kind == wanted]
        for wanted in (Kind.CONTROL, Kind.ADDED)
    )
    return set_apart(
        built,
        special=special,
        words=words,
        first=_end(path, value, tokens, "bos", pre == "tekken"),
        last=_end(path, value, tokens, "eos", False),
    )


def _end(path: Path, value: Callable, tokens: list[str], name: str, usual: bool) -> str | None:
    """The token that texts begin (bos) or end (eos) with, if the file says that they do."""
    number = value(f"{name}_token_id")
    if number is None or not value(f"add_{name}_token", usual):
        return None
    if number >= len(tokens):
        raise ValueError(
            f"{path} gives tokenizer.ggml.{name}_token_id = {number}, and has {len(tokens)} "
            "tokens: was its vocabulary cut? Convert the model again"
        )
    return tokens[number]
