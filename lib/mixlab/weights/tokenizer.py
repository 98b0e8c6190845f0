"""Tokenizers: text to token ids and back, rebuilt from the files that models come in.

The work is done by Hugging Face's `tokenizers`; this module only reads its parts out of a GGUF
file. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
(2016), for byte-pair encoding; Radford et al. (GPT-2, 2019), section 2.2, for its byte level.
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from mixlab.weights.gguf import open_gguf, read_field

_CONTROL = 3  # GGUF's token type of special tokens such as <|im_start|>


def tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a model: `.encode(text).ids` and `.decode(ids)`.

    Args:
        path: a Hugging Face folder with tokenizer.json, or a GGUF file with byte-level BPE.

    Raises:
        FileNotFoundError: if there is no tokenizer at `path`.
        ValueError: if the file's kind of tokenizer is unknown.

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
        return Tokenizer.from_file(str(path / "tokenizer.json"))
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
    tokens = read_field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in read_field(reader, "tokenizer.ggml.merges")]
    built = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    built.pre_tokenizer = _PRE[pre]
    built.decoder = decoders.ByteLevel()
    types = read_field(reader, "tokenizer.ggml.token_type")
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    built.add_special_tokens([AddedToken(token, normalized=False) for token in special])
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
