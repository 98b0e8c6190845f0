"""`python -m mixlab PATH "prompt"`: let a model continue a text, or answer, word by word."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import mixlab
from mixlab.weights.chat import NoChat


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        prog="python -m mixlab",
        description="Let a model continue a text. One that was taught to answer gets the text as a "
        "question, in its own chat form.",
    )
    add = parser.add_argument
    add("path", help="a model's folder or .gguf file, or \"smollm2\" for the course's own")
    add("prompt", help="the question, or the text to continue")
    add("--plain", action="store_true", help="continue the text, even if the model knows a chat")
    add("--max-tokens", type=int, default=200, help="how many to add at most (default: 200)")
    add("--window", type=int, help="how many keys a query sees (default: the model's own)")
    add("--chunk-size", type=int, help="tokens of the prompt read at once (default: all)")
    add("--temperature", type=float, default=0.0, help="0 takes the likeliest (default)")
    add("--top-p", type=float, default=1.0, help="share of probability to draw from (default: 1)")
    add("--top-k", type=int, help="how many tokens to draw from (default: all)")
    add("--min-p", type=float, default=0.0, help="least share of the likeliest's probability")
    add("--repetition-penalty", type=float, default=1.0, help="divides what was said (default: 1)")
    add("--compiled", action="store_true", help="write two or three times as fast, once compiled")
    add("--seed", type=int, default=0, help="of the draws (default: 0)")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    chosen = arguments(given)
    try:
        answer(chosen)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print()
    return 0


def answer(chosen: argparse.Namespace) -> None:
    """Print what the model says, as it says it."""
    path = mixlab.smollm2() if chosen.path == "smollm2" else Path(chosen.path)
    model, tokenizer = mixlab.load(path), mixlab.tokenizer(path)
    if chosen.window is not None:
        model.set_window(chosen.window)
    mixlab.generate(
        mixlab.compiled(model) if chosen.compiled else model,
        [prompt_of(path, tokenizer, chosen)],
        chosen.max_tokens,
        chunk_size=chosen.chunk_size,
        temperature=chosen.temperature,
        top_p=chosen.top_p,
        generator=torch.Generator().manual_seed(chosen.seed),
        stop=mixlab.stop_tokens(path),
        on_token=mixlab.stream(tokenizer),
        top_k=chosen.top_k,
        min_p=chosen.min_p,
        repetition_penalty=chosen.repetition_penalty,
    )
    print()


def prompt_of(path: Path, tokenizer: Any, chosen: argparse.Namespace) -> list[int]:
    """The prompt's token ids, in the model's chat form if it has one and nobody minds."""
    if not chosen.plain:
        with suppress(NoChat):
            return mixlab.chat(path, chosen.prompt)
    return tokenizer.encode(chosen.prompt).ids


if __name__ == "__main__":
    sys.exit(main())
