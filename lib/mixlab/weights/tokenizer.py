"""Tokenizers: text to token ids and back, rebuilt from the files that models come in.

The work is done by Hugging Face's `tokenizers`; this module only reads its parts out of a GGUF
file. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
(2016), for byte-pair encoding; Radford et al. (GPT-2, 2019), section 2.2, for its byte level.
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from mixlab.weights.gguf import open_gguf, read_field

# GGUF's types of tokens that stand for themselves wherever they occur in a text: special ones such
# as <|im_start|>, which decoding leaves out, and words that the model's makers added.
_CONTROL, _ADDED = 3, 4


def tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a model: `.encode(text).ids` and `.decode(ids)`.

    Args:
        path: a Hugging Face folder with tokenizer.json, or a GGUF file with byte-level BPE.

    Raises:
        FileNotFoundError: if there is no tokenizer at `path`.
        ValueError: if the file's kind of tokenizer is unknown, or the file is damaged.

    >>> from mixlab.weights import smollm2
    >>> tokenizer(smollm2()).encode("The cat sat").tokens
    ['The', 'Ġcat', 'Ġsat']
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "tokenizer.json").exists():
            raise FileNotFoundError(
                f"no tokenizer.json in {path}: a model folder saved without its tokenizer? Save "
                "it there with its own save_pretrained"
            )
        try:
            return Tokenizer.from_file(str(path / "tokenizer.json"))
        except Exception as error:  # the package raises nothing more special
            raise ValueError(
                f"{path / 'tokenizer.json'} is no tokenizer ({error}); copy or download it again"
            ) from error
    reader = open_gguf(path)
    kind, pre = (
        read_field(reader, "tokenizer.ggml.model"),
        read_field(reader, "tokenizer.ggml.pre"),
    )
    if kind != "gpt2" or pre not in _PRE:
        raise ValueError(
            f"{path} carries a tokenizer of kind {kind!r} with pre-tokenizer {pre!r}: expected "
            f"byte-level BPE ('gpt2') with one of {sorted(_PRE)}. Load the tokenizer.json of the "
            "same model from its Hugging Face folder instead"
        )
    tokens, merges, types = (
        read_field(reader, f"tokenizer.ggml.{key}", [])
        for key in ("tokens", "merges", "token_type")
    )
    if not tokens or len(types) != len(tokens):
        raise ValueError(
            f"{path} must give a type for each of its tokens: got {len(tokens)} tokens and "
            f"{len(types)} types. Convert the model again"
        )
    pairs = [tuple(merge.split(" ")) for merge in merges]
    built = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    built.pre_tokenizer = _PRE[pre]
    built.decoder = decoders.ByteLevel()
    for wanted, add in [(_CONTROL, built.add_special_tokens), (_ADDED, built.add_tokens)]:
        found = [token for token, kind in zip(tokens, types, strict=True) if kind == wanted]
        add([AddedToken(token, normalized=False) for token in found])
    return built


_PRE = {
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    # SmolLM splits numbers into single digits first, so that arithmetic sees every digit.
    "smollm": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    ),
}
