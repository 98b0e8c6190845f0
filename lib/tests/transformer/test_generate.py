"""Generating together = generating alone = running the whole model again for each token."""

import inspect
import io
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixlab
from mixlab.generate import StatefulModel
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.transformer.model import Transformer
from tests.thorough import often
from tests.transformer.caching import CHUNK_SIZES, batches, build_model, shapes, uncached

bounded = settings(max_examples=often(40), deadline=None, derandomize=True)


def plain(model, prompt, n):
    """Greedy generation without any state."""
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(int(uncached(model, tokens).argmax()))
    return tokens[len(prompt) :]


def build_mamba():
    torch.manual_seed(0)
    model = Mamba(MambaConfig.tiny(vocab_size=32)).requires_grad_(False).double().eval()
    model.output.weight.normal_(std=1.0)
    return model


@bounded
@given(shapes(), batches(), CHUNK_SIZES, st.integers(0, 8))
def test_together_in_chunks_equals_alone_without_a_cache(shape, prompts, chunk_size, n):
    model = build_model(**shape)
    together = mixlab.generate(model, prompts, n, chunk_size=chunk_size)
    assert together == [plain(model, prompt, n) for prompt in prompts]


def test_mamba_is_driven_by_the_same_methods():
    model, prompts = build_mamba(), [[1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 11]]
    assert isinstance(model, StatefulModel)
    expected = [plain(model, prompt, 6) for prompt in prompts]
    for chunk_size in (None, 1, 3):
        assert mixlab.generate(model, prompts, 6, chunk_size=chunk_size) == expected
    stop = expected[0][2]
    stopped = mixlab.generate(model, prompts, 6, stop=[stop])
    assert stopped == [new[: new.index(stop)] if stop in new else new for new in expected]


@bounded
@given(shapes(), batches(), st.sets(st.integers(0, 31), min_size=1, max_size=8))
def test_stop_tokens_cut_each_sequence_by_itself(shape, prompts, stop):
    """Finished sequences leave the batch; the others' tokens don't change."""
    model = build_model(**shape)
    whole = mixlab.generate(model, prompts, 10)
    ends = [next((i for i, t in enumerate(new) if t in stop), 10) for new in whole]
    expected = [new[:end] for new, end in zip(whole, ends, strict=True)]
    assert mixlab.generate(model, prompts, 10, stop=stop) == expected


def test_no_step_is_wasted(monkeypatch):
    model, calls = build_model(), []
    step = Transformer.step
    monkeypatch.setattr(
        Transformer, "step", lambda self, t, c: calls.append(len(t)) or step(self, t, c)
    )
    new = mixlab.generate(model, [[1], [2]], 5)
    assert calls == [2] * 4  # the first token comes from the prompt's logits
    calls.clear()
    mixlab.generate(model, [[1], [2]], 5, stop={new[0][0], new[1][0]})
    assert calls == []
    calls.clear()
    alone = next(t for t in new[0] if t not in new[1])
    mixlab.generate(model, [[1], [2]], 5, stop={alone})
    assert calls == [2] * new[0].index(alone) + [1] * (4 - new[0].index(alone))


def test_streaming_reports_what_is_returned_in_order():
    model, streamed = build_model(window=3), {0: [], 1: []}
    new = mixlab.generate(
        model, [[1, 2], [3]], 7, on_token=lambda prompt, token: streamed[prompt].append(token)
    )
    assert [streamed[0], streamed[1]] == new
    assert all(type(token) is int for token in new[0])


def test_text_is_shown_while_it_is_made_and_never_half_a_character(capsys):
    tokenizer, shown = mixlab.tokenizer(mixlab.smollm2()), [[], []]
    texts = ["so 🙂 and 👩‍👩‍👧‍👦!", "日本語 <|im_end|>é"]
    on_token = mixlab.stream(tokenizer, lambda prompt, text: shown[prompt].append(text))
    ids = [tokenizer.encode(text).ids for text in texts]
    for place in range(max(map(len, ids))):  # in turn, as a batch's tokens come
        for prompt in (0, 1):
            for token in ids[prompt][place : place + 1]:
                on_token(prompt, token)
    assert ["".join(pieces) for pieces in shown] == [texts[0], "日本語 é"]
    assert len(shown[0]) > 5
    assert not any("\ufffd" in piece for pieces in shown for piece in pieces)
    print_it = mixlab.stream(tokenizer)
    for token in ids[0]:
        print_it(0, token)
    assert capsys.readouterr().out == texts[0]


def test_sampling_repeats_with_the_generators_seed():
    model = build_model()
    runs = [
        mixlab.generate(
            model,
            [[1, 2], [3]],
            20,
            temperature=1.5,
            top_p=0.9,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("build", [build_model, build_mamba])
def test_a_generator_a_prompt_gives_what_each_would_get_alone(build):
    """Also when neighbours stop early and leave the batch."""
    model, prompts = build(), [[1, 2, 3, 4, 5], [6], [7, 8]]

    def continued(prompts, seeds):
        own = [torch.Generator().manual_seed(seed) for seed in seeds]
        options = dict(temperature=3.0, top_k=20, min_p=0.01, stop=set(range(8)))
        return mixlab.generate(model, prompts, 12, generator=own, **options)

    together = continued(prompts, (1, 2, 3))
    assert len({len(new) for new in together}) > 1
    for prompt, seed, new in zip(prompts, (1, 2, 3), together, strict=True):
        assert continued([prompt], [seed]) == [new]
    assert continued(prompts[::-1], (3, 2, 1)) == together[::-1]


def test_a_penalty_on_repetition_is_that_of_transformers():
    from transformers import RepetitionPenaltyLogitsProcessor

    model, prompts, penalty = build_model(), [[1, 2, 3, 4], [5]], 1.7
    penalised = RepetitionPenaltyLogitsProcessor(penalty)
    expected = []
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(10):
            scores = penalised(torch.tensor([tokens]), uncached(model, tokens)[None].clone())
            tokens.append(int(scores.argmax()))
        expected.append(tokens[len(prompt) :])
    got = mixlab.generate(model, prompts, 10, repetition_penalty=penalty)
    assert got == expected != mixlab.generate(model, prompts, 10)
    stop = expected[0][4]
    stopped = mixlab.generate(model, prompts, 10, repetition_penalty=penalty, stop=[stop])
    assert stopped == [new[: new.index(stop)] if stop in new else new for new in expected]


def test_log_probabilities_are_those_of_the_model_itself():
    """Whatever changed the choice: penalty, temperature, filters, a neighbour that stopped."""
    model, prompts = build_model(), [[1, 2, 3, 4], [5], [6, 7]]
    new, scores = mixlab.generate(
        model,
        prompts,
        8,
        temperature=2.0,
        top_k=25,
        repetition_penalty=1.3,
        generator=torch.Generator().manual_seed(0),
        stop=set(range(8)),
        log_probabilities=True,
    )
    assert len({len(one) for one in new}) > 1
    for prompt, tokens, given_scores in zip(prompts, new, scores, strict=True):
        assert len(given_scores) == len(tokens)
        for place, (token, score) in enumerate(zip(tokens, given_scores, strict=True)):
            own = uncached(model, prompt + tokens[:place]).log_softmax(dim=-1)
            assert score == pytest.approx(own[token].item(), abs=1e-5)


def test_nothing_to_do():
    model = build_model()
    assert mixlab.generate(model, [], 5) == []
    assert mixlab.generate(model, [[1], [2, 3]], 0) == [[], []]
    assert mixlab.generate(model, [[1]], 0, log_probabilities=True) == ([[]], [[]])


def test_prompts_may_be_tensors():
    model = build_model()
    prompts = torch.tensor([[1, 2, 3], [4, 5, 6]])
    expected = mixlab.generate(model, prompts.tolist(), 4)
    assert mixlab.generate(model, prompts, 4) == expected
    assert mixlab.generate(model, list(prompts), 4) == expected


def test_a_progress_bar_only_on_request(capsys, monkeypatch):
    model, bars = build_model(), []
    module = sys.modules["mixlab.generate"]  # the package's own name for it is the function
    real = module.tqdm

    def immediate(**options):
        assert options["delay"] >= 1  # short runs show none
        bars.append(real(**(options | dict(delay=0, file=io.StringIO()))))
        return bars[-1]

    mixlab.generate(model, [[1]], 4)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(module, "tqdm", immediate)
    mixlab.generate(model, [[1]], 4, progress=True)
    assert (bars[0].total, bars[0].n) == (4, 4)


def test_training_mode_and_gradients_are_left_alone():
    model = build_model().requires_grad_(True).train()
    mixlab.generate(model, [[1, 2]], 2)
    assert model.training
    model(torch.tensor([[1, 2]])).sum().backward()
    assert model.norm.weight.grad is not None


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([[1], []], {}, "prompt 1 is empty"),
        ([[1], [32]], {}, "prompt 1 holds token 32, and this model knows tokens 0 to 31"),
        ([[-1]], {}, "prompt 0 holds token -1"),
        ([[1]], dict(max_tokens=-1), "max_tokens must be 0 or more"),
        ([[1]], dict(chunk_size=0), "chunk_size must be at least 1"),
        ([[1]], dict(temperature=-1.0), "temperature must be 0"),
        ([[1]], dict(top_p=0.0), "top_p must be above 0"),
        ([[1]], dict(top_k=0), "top_k must be at least 1"),
        ([[1]], dict(min_p=-0.1), "min_p must be from 0 to 1"),
        ([[1]], dict(repetition_penalty=0.0), "repetition_penalty must be positive"),
        ([[1], [2]], dict(generator=[torch.Generator()]), "one a prompt: got 1 for 2 prompts"),
        (["text"], {}, "prompts must be a list of lists"),
        ([1, 2, 3], {}, "prompts must be a list of lists"),
    ],
)
def test_mistakes_are_named(prompts, options, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(mixlab.generate)(build_model(), prompts, **(dict(max_tokens=3) | options))


def test_weights_that_overflow_are_an_error_not_padding():
    model = build_model()
    model.norm.weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        mixlab.generate(model, [[1]], 3)
