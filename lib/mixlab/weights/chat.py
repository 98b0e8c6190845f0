"""The form in which an instructed model expects a conversation, and the tokens that end its turn.

A model that was trained to answer was trained on turns between marks of its own. The marks stand in
its files as a template in Jinja; without them it continues the question instead of answering it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mixlab.weights.stored import existing, read_json
from mixlab.weights.tokenizer import tokenizer, tokenizer_file

Message = Mapping[str, str]


class NoChat(ValueError):
    """A model's files say nothing of conversations: it continues text."""


def chat(path: str | Path, messages: str | Sequence[Message]) -> list[int]:
    """The prompt, as token ids, after which the model answers.

    Args:
        path: a Hugging Face folder or a GGUF file, of a model that was taught to answer.
        messages: a question, or a conversation: {"role": "user", "content": "…"} and so on, the
            roles being those of the template, mostly system, user and assistant.

    Raises:
        FileNotFoundError: if there is no model at `path`.
        NoChat: if its files hold no template.
        ValueError: if the template refuses the messages.

    >>> from mixlab.weights import smollm2
    >>> prompt = chat(smollm2(), "Hi!")
    >>> tokenizer(smollm2()).decode(prompt, skip_special_tokens=False)[-53:]
    '<|im_start|>user\\nHi!<|im_end|>\\n<|im_start|>assistant\\n'
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    for message in messages:
        if not isinstance(message, Mapping) or {"role", "content"} - message.keys():
            raise ValueError(
                'messages must be a text, or a list such as [{"role": "user", "content": "Hi!"}]: '
                f"got {message!r} in it"
            )
    facts = _facts(existing(path))
    if not facts["template"]:
        raise NoChat(
            f"{path} holds no chat template, so it is a model that continues text: give "
            "mixlab.generate the ids of a text that the answer would follow"
        )
    # Templates come with models from anywhere; the sandbox lets them build a text and no more.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    try:
        text = environment.from_string(facts["template"]).render(
            messages=list(messages), add_generation_prompt=True, **facts["tokens"]
        )
    except TemplateError as error:
        raise ValueError(f"the chat template of {path} refuses these messages: {error}") from error
    # The template writes the beginning-of-text token itself where the model wants one.
    return tokenizer(path).encode(text, add_special_tokens=False).ids


def stop_tokens(path: str | Path) -> tuple[int, ...]:
    """The tokens after which a model says no more, for `generate`'s `stop`; () where none is named.

    Raises:
        FileNotFoundError: if there is no model at `path`.

    >>> from mixlab.weights import smollm2
    >>> [tokenizer(smollm2()).id_to_token(token) for token in stop_tokens(smollm2())]
    ['<|im_end|>']
    """
    return _facts(existing(path))["stop"]


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _facts(path: Path) -> dict:
    """A model's template, its special tokens by name, and its stop tokens."""
    return _of_folder(path) if path.is_dir() else _of_gguf(path)


def _of_gguf(path: Path) -> dict:
    from mixlab.weights.gguf_file import open_parts, read_field

    reader = open_parts(path)[0]
    tokens = read_field(reader, "tokenizer.ggml.tokens", [])
    key = "tokenizer.ggml.{}_token_id"
    ids = {name: read_field(reader, key.format(name)) for name in ("bos", "eos", "eot")}
    return {
        "template": read_field(reader, "tokenizer.chat_template"),
        "tokens": {f"{name}_token": tokens[i] for name, i in ids.items() if i is not None},
        "stop": tuple({ids[name]: None for name in ("eos", "eot") if ids[name] is not None}),
    }


def _of_folder(path: Path) -> dict:
    def read(name: str) -> dict:
        return read_json(path / name) if (path / name).exists() else {}

    given = read("tokenizer_config.json")
    names = [key for key in ("bos_token", "eos_token", "unk_token", "pad_token") if given.get(key)]
    tokens = {name: given[name] for name in names}
    tokens = {n: one["content"] if isinstance(one, dict) else one for n, one in tokens.items()}
    template = given.get("chat_template")
    if (file := path / "chat_template.jinja").exists():
        template = file.read_text(encoding="utf-8")
    elif isinstance(template, list):  # several, of which one is for conversations
        template = {one["name"]: one["template"] for one in template}.get("default")
    stop = read("generation_config.json").get("eos_token_id")
    stop = read("config.json").get("eos_token_id") if stop is None else stop
    stop = [] if stop is None else stop if isinstance(stop, list) else [stop]
    # Mistral's own folders don't name it, because it never changes.
    end = tokens.get("eos_token", "</s>" if (path / "params.json").exists() else None)
    if end is not None and tokenizer_file(path):
        stop = [*stop, tokenizer(path).token_to_id(end)]
    known = {token: None for token in stop if token is not None}
    return {"template": template, "tokens": tokens, "stop": tuple(known)}
