"""Tekken, the tokenizer of Mistral's models since NeMo: byte-level BPE in a JSON file.

`tekken.json` holds the tokens in the order in which they were merged, a regular expression that
splits a text into words first, and, in newer files, the special tokens, which come before all
others. Source: mistral-common, its `tekken.py`, for the fields, and for the special tokens of
files that name none.
"""

from base64 import b64decode
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from mixlab.weights.byte_pair import merges, set_apart
from mixlab.weights.stored import read_json

_FIRST_SPECIAL = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] "
    "[/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] "
    "[SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]"
).split()
# The pattern of every file so far: a word may begin with one other character and ends before a
# capital that follows small letters; digits stand alone.
PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONFIG = {"pattern", "default_vocab_size", "default_num_special_tokens"}
_HARMLESS = {"num_vocab_tokens", "version"}


def from_tekken(path: Path) -> Tokenizer:
    """The tokenizer in a `tekken.json`; texts begin with <s>.

    Raises:
        ValueError: if the file is damaged, or asks for something that isn't done here.
    """
    given = read_json(path)
    try:
        config = given["config"]
        if unknown := config.keys() - _CONFIG - _HARMLESS:
            raise ValueError(f"unknown in its config: {', '.join(sorted(unknown))}")
        n_special = config["default_num_special_tokens"]
        special = _special(given.get("special_tokens"), n_special)
        tokens = _tokens(given["vocab"], config["default_vocab_size"] - n_special)
        pattern = Regex(config["pattern"])
    except Exception as error:  # the package raises nothing more special for a pattern
        raise ValueError(
            f"{path} is no tekken.json that this library reads ({type(error).__name__}: {error}); "
            "copy or download it again, or use the model's tokenizer.json"
        ) from error
    vocabulary = {token: number for number, token in enumerate([*special, *tokens])}
    pairs = merges({token: -rank for rank, token in enumerate(tokens)})
    built = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=True))
    built.pre_tokenizer = splits(pattern)
    built.decoder = decoders.ByteLevel()
    return set_apart(built, special=special, first="<s>")


def splits(pattern: Regex) -> pre_tokenizers.PreTokenizer:
    """Cut a text into the matches of `pattern`, and these into bytes."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _special(given: list[dict] | None, count: int) -> list[str]:
    """The special tokens in their order; those without a name are <SPECIAL_20> and so on."""
    named = _FIRST_SPECIAL
    if given is not None:
        named = [token["token_str"] for token in given]
        if [token["rank"] for token in given] != list(range(len(given))):
            raise ValueError("special_tokens must have the ranks 0, 1, 2 … in order")
    return [*named, *(f"<SPECIAL_{number}>" for number in range(len(named), count))]


def _tokens(given: list[dict], count: int) -> list[str]:
    """The first `count` tokens, each byte as the character that byte-level BPE writes for it."""
    if [token["rank"] for token in given[:count]] != list(range(count)):
        raise ValueError(f"vocab must have {count} tokens of the ranks 0, 1, 2 … in order")
    return [
        "".join(_CHARACTERS[byte] for byte in b64decode(token["token_bytes"], validate=True))
        for token in given[:count]
    ]


def _characters() -> list[str]:
    """GPT-2's character for each byte: itself if that can be seen, else the next from Ā on."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(unseen)) for byte in range(256)]


_CHARACTERS = _characters()
