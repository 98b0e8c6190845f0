"""Two engines written in C++, which a wheel installs: llama.cpp and CTranslate2.

They are the honest peers of a laptop: their code streams weights from memory and does little else.
Both get SmolLM2 itself, llama.cpp as a GGUF file of any type, CTranslate2 as a folder converted
from ours, and run on as many threads as PyTorch does. Each lives in a process of its own: their
threads keep looking for work, and in ours they take half of a small machine.
"""

import json
import multiprocessing
import os
import signal
import tempfile
import weakref
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

import mixlab
from bench.row import Unavailable, require

_FOLDER = tempfile.TemporaryDirectory(prefix="mixlab-engines-")


@cache
def stored_as(kind: str) -> Path:
    """SmolLM2 in a GGUF file of another type, "F32" or "Q8_0": the packaged numbers, rounded."""
    import gguf

    reader = gguf.GGUFReader(mixlab.smollm2())
    path = Path(_FOLDER.name) / f"{kind}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        packed = gguf.GGMLQuantizationType[kind if len(tensor.shape) > 1 else "F32"]
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        numbers = numbers.reshape([int(size) for size in reversed(tensor.shape)])
        writer.add_tensor(tensor.name, gguf.quantize(numbers, packed), raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class Apart:
    """An engine in a process of its own, which stands still while nobody asks it.

    Args:
        engine: the class below; its methods are called by their names.
        arguments: what it is made with.

    Raises:
        Unavailable: as the engine does.
    """

    def __init__(self, engine: type, *arguments):
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        threads = torch.get_num_threads()
        process = context.Process(target=_serve, args=(theirs, threads, engine, arguments))
        process.start()
        self._pid = process.pid
        weakref.finalize(self, process.kill)
        self._answer()

    def __getattr__(self, name: str) -> Callable:
        def ask(*arguments):
            os.kill(self._pid, signal.SIGCONT)
            self._line.send((name, arguments))
            return self._answer()

        return ask

    def _answer(self):
        answer = self._line.recv()
        os.kill(self._pid, signal.SIGSTOP)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(line: Connection, threads: int, engine: type, arguments: tuple) -> None:
    """What the other process does: build the engine, then answer."""
    torch.set_num_threads(threads)
    try:
        built = engine(*arguments)
    except Unavailable as missing:
        line.send(missing)
        return
    line.send("ready")
    while True:
        name, asked = line.recv()
        line.send(getattr(built, name)(*asked))


class LlamaCpp:
    """llama.cpp with one GGUF file, by way of its own server.

    Raises:
        Unavailable: without xllamacpp.
    """

    def __init__(self, path: Path, context: int = 1024):
        require("xllamacpp")
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = context, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        params.verbosity = 0
        self._server = xllamacpp.Server(params)

    def write(self, prompt: list[int], n_tokens: int) -> dict:
        """Continue greedily. A prompt that it has just read is not read again, but for one token.

        Returns:
            The server's answer, with the log-probability of each token.
        """
        return self._ask(prompt, n_tokens, cache_prompt=True)

    def read(self, prompt: list[int]) -> dict:
        """Read a prompt anew and write one token."""
        return self._ask(prompt, 1, cache_prompt=False)

    def _ask(self, prompt: list[int], n_tokens: int, cache_prompt: bool) -> dict:
        answer = self._server.handle_completions(
            {
                "prompt": prompt,
                "max_tokens": n_tokens,
                "temperature": 0.0,
                "ignore_eos": True,
                "cache_prompt": cache_prompt,
                "logprobs": 1,
            }
        )
        return json.loads(answer) if isinstance(answer, str) else answer

    def first(self, prompt: list[int]) -> tuple[int, float]:
        """The likeliest first token, and its log-probability."""
        token = self.read(prompt)["choices"][0]["logprobs"]["content"][0]
        return token["id"], token["logprob"]


class CTranslate2:
    """CTranslate2 with SmolLM2 in float32.

    Raises:
        Unavailable: without ctranslate2 or transformers, which converts for it.
    """

    def __init__(self):
        require("transformers")
        require("ctranslate2")
        import ctranslate2

        self._tokenizer = mixlab.tokenizer(mixlab.smollm2())
        self._generator = ctranslate2.Generator(
            str(self._converted()), compute_type="float32", intra_threads=torch.get_num_threads()
        )

    def _converted(self) -> Path:
        import transformers
        from ctranslate2.converters import TransformersConverter

        folder, converted = Path(_FOLDER.name) / "float32", Path(_FOLDER.name) / "ctranslate2"
        mixlab.save(mixlab.load(mixlab.smollm2()), folder)
        self._tokenizer.save(str(folder / "tokenizer.json"))
        marks = {"bos": "<|im_start|>", "eos": "<|im_end|>", "unk": "<|endoftext|>"}
        named = {f"{mark}_token": token for mark, token in marks.items()}
        described = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
        (folder / "tokenizer_config.json").write_text(json.dumps(described))
        transformers.utils.logging.disable_progress_bar()
        TransformersConverter(str(folder)).convert(str(converted), force=True)
        return converted

    def write(self, prompt: list[int], n_tokens: int) -> list[int]:
        """Continue greedily. All of the prompt but its last token is read once and kept."""
        tokens = [self._tokenizer.id_to_token(token) for token in prompt]
        (answer,) = self._generator.generate_batch(
            [tokens[-1:]],
            static_prompt=tokens[:-1],
            cache_static_prompt=True,
            max_length=n_tokens,
            min_length=n_tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
            end_token=[],
        )
        return answer.sequences_ids[0]

    def read(self, prompt: list[int]) -> list[int]:
        """Read a prompt anew and write one token."""
        tokens = [self._tokenizer.id_to_token(token) for token in prompt]
        (answer,) = self._generator.generate_batch(
            [tokens], max_length=1, sampling_topk=1, include_prompt_in_result=False, end_token=[]
        )
        return answer.sequences_ids[0]
