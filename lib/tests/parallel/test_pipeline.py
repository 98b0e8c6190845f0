"""A schedule run by ranks: gradients, logits and tokens are those of one process."""

from multiprocessing import active_children

import pytest
import torch

from mixlab.generate import generate
from mixlab.parallel.pipeline import Answering, Reading, Training, run_stage
from mixlab.parallel.processes import RankError, Ranks
from mixlab.parallel.schedules import forward_only, gpipe, one_f_one_b, waits_for
from mixlab.parallel.stage import Stage
from mixlab.parallel.timeline import Timeline
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss

BATCH = torch.randint(256, (6, 9), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(TransformerConfig.tiny(n_layers=3, window=(4, None, 5)))


@pytest.fixture(scope="module")
def ranks():
    with Ranks(3, timeout=60.0) as ranks:
        yield ranks
    assert active_children() == []


def train(communicator, model, schedule, n_microbatches):
    stage = Stage(model, communicator.rank, communicator.world_size)
    work = Training(stage, BATCH, n_microbatches)
    spans = run_stage(communicator, schedule, work)
    assert work.kept == {}  # nothing is left over
    return spans, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def read(communicator, model, tokens, size):
    work = Reading(Stage(model, communicator.rank, communicator.world_size), tokens, size)
    schedule = forward_only(communicator.world_size, len(work.chunks))
    return run_stage(communicator, schedule, work), work.logits


def answer(communicator, model, prompts, n_tokens):
    work = Answering(Stage(model, communicator.rank, communicator.world_size), prompts)
    schedule = forward_only(communicator.world_size, n_tokens * len(prompts))
    run_stage(communicator, schedule, work, at_least=0.001)
    return work.written


@pytest.mark.parametrize(
    ("make", "n_microbatches"), [(gpipe, 3), (one_f_one_b, 6), (one_f_one_b, 2), (gpipe, 1)]
)
def test_gradients_of_microbatches_are_the_batch_s(model, ranks, make, n_microbatches):
    names, weights = zip(*model.named_parameters(), strict=True)
    whole = torch.autograd.grad(next_token_loss(model(BATCH), BATCH), weights)
    schedule = make(3, n_microbatches)
    results = ranks.run(train, model, schedule, n_microbatches)
    held = [set(gradients) for _, gradients in results]
    assert set.union(*held) == set(names)
    assert sum(map(len, held)) == len(names)  # each on one rank
    found = {name: g for _, gradients in results for name, g in gradients.items()}
    for name, gradient in zip(names, whole, strict=True):
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-5)
    ends = {span.action: span.end for spans, _ in results for span in spans}
    for spans, actions in zip((spans for spans, _ in results), schedule, strict=True):
        assert [span.action for span in spans] == actions
        for span in spans:
            assert all(ends[one] <= span.start for one in waits_for(span.action, 3))


@pytest.mark.parametrize("size", [1, 4, 7, 40])
def test_a_prompt_in_chunks_over_ranks_is_the_whole_prompt(model, ranks, size):
    tokens = torch.randint(256, (23,))
    results = ranks.run(read, model, tokens, size)
    logits = torch.cat(results[-1][1])
    assert [len(held) for _, held in results[:-1]] == [0, 0]
    with torch.no_grad():
        torch.testing.assert_close(logits, model(tokens[None])[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_requests", [1, 2, 4])
def test_requests_in_turns_get_the_tokens_of_one_process(model, ranks, n_requests):
    prompts = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]][:n_requests]
    written = ranks.run(answer, model, prompts, 5)
    assert written[-1] == generate(model, prompts, 5)
    tokens = 5 * n_requests  # the number of each goes to the first stage, but for the last ones
    assert ranks.sent[-1]["isend"].messages == tokens - n_requests
    assert ranks.sent[-1]["isend"].bytes == 8 * (tokens - n_requests)


def test_an_action_takes_as_long_as_asked(model, ranks):
    def slow(communicator):
        stage = Stage(model, communicator.rank, communicator.world_size)
        return run_stage(communicator, gpipe(3, 2), Training(stage, BATCH, 2), at_least=0.02)

    timeline = Timeline(ranks.run(slow))
    assert all(span.end - span.start >= 0.02 for spans in timeline.stages for span in spans)
    assert timeline.length >= 0.02 * 2 * (2 + 3 - 1)


def test_what_does_not_fit_is_told(model):
    with pytest.raises(ValueError, match="each stage needs a layer of its own: got stage 0 of 4"):
        Stage(model, 0, 4)
    with pytest.raises(ValueError, match="got stage 3 of 3"):
        Stage(model, 3, 3)
    with pytest.raises(ValueError, match="got 6 rows for 4 microbatches"):
        Training(Stage(model, 0, 2), BATCH, 4)


def test_a_schedule_for_other_ranks_ends_them_all(model):
    with Ranks(2, timeout=20.0) as two, pytest.raises(RankError, match="3 stages on 2 ranks"):
        two.run(train, model, gpipe(3, 2), 2)
    assert two.processes == []
