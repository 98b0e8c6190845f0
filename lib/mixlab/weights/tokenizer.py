"""Tokenizers: text to token ids and back, rebuilt from the files that models come in.

The work is done by Hugging Face's `tokenizers`; this module only reads its parts out of a GGUF
file. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
(2016), for byte-pair encoding; Radford et al. (GPT-2, 2019), section 2.2, for its byte level.
"""

from pathlib import Path

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from mixlab.weights.gguf import open_parts, read_field
from mixlab.weights.stored import existing, read_json

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
    path = existing(path)
    return _from_folder(path) if path.is_dir() else _from_gguf(path)


def _from_folder(path: Path) -> Tokenizer:
    if not (path / "tokenizer.json").exists():
        raise FileNotFoundError(
            f"no tokenizer.json in {path}: a model folder saved without its tokenizer? Save "
            "it there with its own save_pretrained"
        )
    try:
        built = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the package raises nothing more special
        raise ValueError(
            f"{path / 'tokenizer.json'} is no tokenizer ({error}); copy or download it again"
        ) from error
    # What a training run cut or filled its texts to isn't how a text is read.
    built.no_truncation()
    built.no_padding()
    for number, token in sorted(_added_elsewhere(path).items()):
        if built.token_to_id(token.content) is None:
            (built.add_special_tokens if token.special else built.add_tokens)([token])
        if built.token_to_id(token.content) != number:
            raise ValueError(
                f"{path} adds the token {token.content!r} as number {number}, and its "
                f"tokenizer.json makes it {built.token_to_id(token.content)}: the files belong to "
                "different tokenizers. Copy or download them again"
            )
    return built


def _added_elsewhere(path: Path) -> dict[int, AddedToken]:
    """Tokens that stand beside tokenizer.json, by number: older tools wrote them there alone."""
    found = {}
    if (file := path / "added_tokens.json").exists():
        for content, number in read_json(file).items():
            found[number] = AddedToken(content, normalized=False)
    if (file := path / "tokenizer_config.json").exists():
        for number, facts in (read_json(file).get("added_tokens_decoder") or {}).items():
            token = AddedToken(
                facts["content"],
                single_word=facts.get("single_word", False),
                lstrip=facts.get("lstrip", False),
                rstrip=facts.get("rstrip", False),
                normalized=facts.get("normalized", False),
                special=facts.get("special", False),
            )
            found[int(number)] = token
    return found


def _from_gguf(path: Path) -> Tokenizer:
    reader = open_parts(path)[0]
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
    _add_ends(built, reader, tokens)
    return built


def _add_ends(built: Tokenizer, reader: GGUFReader, tokens: list[str]) -> None:
    """Let a text begin or end with the file's own token, where it says that texts do."""
    wanted = {}
    for name in ("bos", "eos"):
        if read_field(reader, f"tokenizer.ggml.add_{name}_token", False):
            number = read_field(reader, f"tokenizer.ggml.{name}_token_id")
            wanted[name] = (tokens[number], number)
    if wanted:
        form = [wanted["bos"][0]] if "bos" in wanted else []
        form += ["$A", *([wanted["eos"][0]] if "eos" in wanted else [])]
        built.post_processor = processors.TemplateProcessing(
            single=form, special_tokens=list(dict.fromkeys(wanted.values()))
        )


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
