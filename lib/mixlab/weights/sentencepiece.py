"""SentencePiece tokenizers: those of Mistral 7B and Mixtral, from `tokenizer.model` or GGUF.

A space is written ▁, a text begins with one, and a character that has no piece becomes its UTF-8
bytes, <0xF0> and so on. Pieces have scores instead of a list of merges, which is found again from
them; so what comes out is one more `tokenizers.Tokenizer`. Source: Kudo and Richardson,
"SentencePiece: A simple and language independent subword tokenizer and detokenizer for Neural Text
Processing" (2018), section 3; the file is Protocol Buffers, `sentencepiece_model.proto`.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from mixlab.weights.byte_pair import merges, set_apart
from mixlab.weights.stored import refuse_pointer

_SPACE = "▁"


class Kind(IntEnum):
    """What a piece is; GGUF has the same numbers for the tokens of all its tokenizers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3  # stands for itself, and decoding leaves it out, such as <s>
    ADDED = 4  # stands for itself and is part of the text: a word that the makers added
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A SentencePiece vocabulary; a piece's place is its token id.

    Args:
        pieces: all different.
        scores: of each piece; pairs are merged into the best one first.
        kinds: of each piece, as in `Kind`.
        space_first: whether a text begins with a space of its own.
        byte_fallback: whether unknown characters become bytes, not the unknown piece.
        first, last: pieces that every text begins or ends with.
    """

    pieces: list[str]
    scores: list[float]
    kinds: list[int]
    space_first: bool = True
    byte_fallback: bool = True
    first: str | None = None
    last: str | None = None

    def of_kind(self, kind: Kind) -> dict[str, float]:
        """The pieces of one kind, with their scores."""
        everything = zip(self.pieces, self.scores, self.kinds, strict=True)
        return {piece: score for piece, score, own in everything if own == kind}


def from_model(path: Path) -> Tokenizer:
    """The tokenizer in a file of SentencePiece; texts begin with its beginning-of-text piece.

    Raises:
        ValueError: if the file is damaged, or asks for something that isn't done here.
    """
    refuse_pointer(path)
    try:
        return assemble(_read(path), str(path))
    except (LookupError, TypeError, AttributeError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no whole SentencePiece model ({type(error).__name__}: {error}); it has "
            f"{path.stat().st_size:,} bytes. Copy or download it again"
        ) from error


def assemble(given: Pieces, source: str) -> Tokenizer:
    """The tokenizer of a vocabulary.

    Marks such as <s> or [INST] within a text stand for themselves, as in tokenizer.json, and a text
    that begins with one, or with a word that the makers added, gets no space before it. The
    original takes marks for plain text, as this does with `encode_special_tokens = True`.

    Raises:
        ValueError: if the pieces aren't a vocabulary of byte-pair encoding; `source` names it.
    """
    _check(given, source)
    (unknown,) = given.of_kind(Kind.UNKNOWN)
    built = Tokenizer(
        models.BPE(
            {piece: number for number, piece in enumerate(given.pieces)},
            merges(given.of_kind(Kind.NORMAL)),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=given.byte_fallback,
        )
    )
    built.normalizer = normalizers.Replace(" ", _SPACE)
    bytes_to_text = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if given.space_first:
        # Metaspace puts no ▁ before a text that begins with one, and SentencePiece does. Here the
        # text holds no spaces any more, so the first always puts one, and the second makes it ▁.
        built.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(" ", prepend_scheme="first", split=False),
                pre_tokenizers.Metaspace(_SPACE, prepend_scheme="never", split=False),
            ]
        )
        bytes_to_text.append(decoders.Strip(" ", left=1))
    built.decoder = decoders.Sequence(bytes_to_text)
    return set_apart(
        built,
        special=[unknown, *given.of_kind(Kind.CONTROL)],
        words=given.of_kind(Kind.ADDED),
        first=given.first,
        last=given.last,
    )


def _check(given: Pieces, source: str) -> None:
    if not given.pieces or not len(given.pieces) == len(given.scores) == len(given.kinds):
        raise ValueError(
            f"{source} must give a score and a type for each of its tokens: got "
            f"{len(given.pieces)} tokens, {len(given.scores)} scores and {len(given.kinds)} types. "
            "Convert or download it again"
        )
    if twice := [piece for piece, n in Counter(given.pieces).items() if n > 1]:
        raise ValueError(f"{source} must hold each piece once: got {twice[0]!r} again")
    if (unknown := given.kinds.count(Kind.UNKNOWN)) != 1:
        raise ValueError(f"{source} must hold one piece of the type unknown: got {unknown}")
    normal = given.of_kind(Kind.NORMAL)
    if bare := {character for piece in normal for character in piece} - normal.keys():
        raise ValueError(
            f"{source} must hold each character of its pieces as a piece: {min(bare)!r} is none. "
            "Is it a vocabulary of byte-pair encoding?"
        )
    # Runs of spaces do share a score in Mistral's files, and `merges` orders them rightly.
    merged = Counter(score for p, score in normal.items() if len(p) > 1 and p.strip(_SPACE))
    if tied := [score for score, n in merged.items() if n > 1]:
        raise ValueError(
            f"{source} gives {merged[tied[0]]} pieces the score {tied[0]:g}, so nothing says which "
            "is merged first. Was it converted without scores? Take the model's tokenizer.model or "
            "tokenizer.json"
        )


def _read(path: Path) -> Pieces:
    """The vocabulary in a file, whose fields have the numbers of `sentencepiece_model.proto`."""
    parts = list(_fields(path.read_bytes()))
    pieces = [dict(_fields(content)) for number, content in parts if number == 1]
    if not pieces:
        raise LookupError("it holds no pieces")
    messages = {number: dict(_fields(content)) for number, content in parts if number in (2, 3, 5)}
    trainer, normalizer, denormalizer = (messages.get(number, {}) for number in (2, 3, 5))
    for key, expected, got in [
        ("trainer_spec.model_type", 2, trainer.get(3, 1)),  # 1 is unigram, 2 byte-pair encoding
        ("trainer_spec.treat_whitespace_as_suffix", 0, trainer.get(24, 0)),
        ("normalizer_spec.precompiled_charsmap", b"", normalizer.get(2, b"")),
        ("normalizer_spec.remove_extra_whitespaces", 0, normalizer.get(4, 1)),
        ("normalizer_spec.escape_whitespaces", 1, normalizer.get(5, 1)),
        ("normalizer_spec.normalization_rule_tsv", b"", normalizer.get(6, b"")),
        ("denormalizer_spec.precompiled_charsmap", b"", denormalizer.get(2, b"")),
    ]:
        if got != expected:
            raise ValueError(
                f"{path} asks for {key} = {str(got)[:20]}; this library does {expected!r} only, "
                "and ignoring the difference would give wrong tokens. Use the model's "
                "tokenizer.json"
            )
    texts = [piece[1].decode() for piece in pieces]
    begin = trainer.get(41, 1)  # -1, a huge unsigned number, where there is none
    return Pieces(
        pieces=texts,
        scores=[struct.unpack("<f", piece.get(2, bytes(4)))[0] for piece in pieces],
        kinds=[piece.get(3, Kind.NORMAL) for piece in pieces],
        space_first=bool(normalizer.get(3, 1)),
        byte_fallback=bool(trainer.get(35, 0)),
        first=texts[begin] if begin < len(texts) else None,
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and content of each field of a Protocol Buffers message.

    IndexError where it ends too early, KeyError where it is something else.
    """
    at, tag = 0, None
    while at < len(message) or tag is not None:
        value = shift = 0
        more = True
        while more:  # a number: seven bits a byte, and the last byte is below 128
            byte = message[at]
            value, shift, at, more = value | (byte & 127) << shift, shift + 7, at + 1, byte >= 128
        if tag is None and value % 8 in (0, 2):
            tag = value  # what follows is the field's value, or its length
            continue
        number, kind = divmod(value if tag is None else tag, 8)
        tag = None
        if kind == 0:
            yield number, value
            continue
        size = value if kind == 2 else {1: 8, 5: 4}[kind]
        if at + size > len(message):
            raise IndexError(f"field {number} ends after the file does")
        yield number, message[at : at + size]
        at += size
