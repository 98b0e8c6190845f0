"""Tokenizers: text to token ids and back, rebuilt from the files that models come in.

The work is done by Hugging Face's `tokenizers`, whatever the file, so that every tokenizer here is
used alike. Each other format has a module of its own; this one looks at a path and picks, and reads
Hugging Face's files.
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from mixlab.weights.sentencepiece import from_model
from mixlab.weights.stored import existing, read_json, refuse_pointer
from mixlab.weights.tekken import from_tekken


def tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a model: `.encode(text).ids` and `.decode(ids)`.

    Texts begin with the model's beginning-of-text token if its files say so, and marks such as
    <s> within a text are tokens; `.encode(text, add_special_tokens=False)` leaves out the first,
    and `.encode_special_tokens = True` takes marks for plain text.

    Args:
        path: a model's folder, or the file itself: Hugging Face's `tokenizer.json`, Mistral's
            `tokenizer.model` (`.v1`, `.v2`, …) or `tekken.json`, or a GGUF file with byte-level
            BPE or SentencePiece.

    Raises:
        FileNotFoundError: if there is no tokenizer at `path`.
        ValueError: if the file's kind of tokenizer is unknown, the file is damaged, or its
            vocabulary is another model's.

    >>> from mixlab.weights import smollm2
    >>> tokenizer(smollm2()).encode("The cat sat").tokens
    ['The', 'Ġcat', 'Ġsat']
    """
    path = existing(path)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".json":
        return from_tekken(path) if "tekken" in path.name else _from_json(path)
    if ".model" in path.suffixes:
        return from_model(path)
    # Not before it is needed: `gguf` imports mistral-common where it lies, seconds' worth.
    from mixlab.weights.gguf_tokenizer import from_gguf

    return from_gguf(path)


def tokenizer_file(folder: Path) -> Path | None:
    """The file in a model's folder that holds its tokenizer; None if there is none.

    Raises:
        ValueError: if there are several and none is Hugging Face's.
    """
    if (file := folder / "tokenizer.json").exists():
        return file
    found = sorted([*folder.glob("tekken*.json"), *folder.glob("*tokenizer*.model*")])
    if len(found) > 1:
        raise ValueError(
            f"{folder} holds {len(found)} tokenizers: {', '.join(file.name for file in found)}. "
            "Give the path of the one that is meant"
        )
    return found[0] if found else None


def _from_folder(path: Path) -> Tokenizer:
    file = tokenizer_file(path)
    if file is None:
        raise FileNotFoundError(
            f"no tokenizer.json, tokenizer.model or tekken.json in {path}: a model folder saved "
            "without its tokenizer? Save it there with its own save_pretrained"
        )
    built = _with_added_tokens(tokenizer(file), path)
    if file.name != "tokenizer.json":
        _check_size(built, path)
    return built


def _check_size(built: Tokenizer, path: Path) -> None:
    """Mistral's own models have exactly their tokenizer's size; others may be padded."""
    for name, fits in (("params.json", int.__eq__), ("config.json", int.__le__)):
        if (path / name).exists():
            known, size = built.get_vocab_size(), read_json(path / name).get("vocab_size")
            if size is not None and not fits(known, size):
                raise ValueError(
                    f"the tokenizer in {path} has {known} tokens, and {name} gives the model "
                    f"{size}: is it the tokenizer of another version of the model?"
                )


def _from_json(file: Path) -> Tokenizer:
    refuse_pointer(file)
    try:
        built = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing more special
        raise ValueError(f"{file} is no tokenizer ({error}); copy or download it again") from error
    # What a training run cut or filled its texts to isn't how a text is read.
    built.no_truncation()
    built.no_padding()
    return built


def _with_added_tokens(built: Tokenizer, path: Path) -> Tokenizer:
    for number, token in sorted(_added_elsewhere(path).items()):
        if built.token_to_id(token.content) is None:
            (built.add_special_tokens if token.special else built.add_tokens)([token])
        if built.token_to_id(token.content) != number:
            raise ValueError(
                f"{path} adds the token {token.content!r} as number {number}, and its "
                f"tokenizer makes it {built.token_to_id(token.content)}: the files belong to "
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
