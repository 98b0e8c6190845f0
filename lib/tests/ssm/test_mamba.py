"""Mamba against transformers; prefill, step and any split; packing, padding, constant state."""

import math

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from mixlab.generate import generate
from mixlab.ssm.config import PUBLISHED, MambaConfig
from mixlab.ssm.mamba import Mamba, MambaState
from mixlab.ssm.packing import segment_starts


def model_of(seed=0, dtype=torch.float64, **changes) -> Mamba:
    """A small Mamba whose Δ, A, D and convolution are far from their uniform beginnings."""
    torch.manual_seed(seed)
    model = Mamba(MambaConfig.tiny(dim=32, vocab_size=50, **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("A_log", "mixer.D", "conv1d.bias", "dt_proj.bias")):
                parameter += torch.randn_like(parameter) * 0.3
            elif not name.endswith("norm.weight"):
                parameter.normal_(std=1.5 * parameter.shape[-1] ** -0.5)
    return model.to(dtype).requires_grad_(False)


def tokens_of(batch: int, seq: int, seed=1) -> torch.Tensor:
    return torch.randint(50, (batch, seq), generator=torch.Generator().manual_seed(seed))


def equal(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def equal_states(a: MambaState, b: MambaState):
    for ours, theirs in zip(a.layers, b.layers, strict=True):
        equal(ours.scan, theirs.scan)
        equal(ours.history, theirs.history)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_counted_as_pytorch_counts_them(name):
    for changes in ({}, dict(bias=True, conv_bias=False, tie_embeddings=False, dt_rank=7)):
        config = MambaConfig.published(name, **changes)
        with torch.device("meta"):
            model = Mamba(config)
        assert config.n_parameters == sum(p.numel() for p in model.parameters())


def test_the_published_130m_has_129135360_parameters():
    assert MambaConfig.published("130m").n_parameters == 129_135_360


@pytest.mark.parametrize("changes", [{}, dict(d_conv=2, d_state=3), dict(bias=True, expand=1)])
@pytest.mark.parametrize("seq", [1, 2, 5, 40])
def test_prefill_and_step_give_the_logits_of_the_whole(changes, seq):
    model, tokens = model_of(**changes), tokens_of(3, seq)
    logits = model(tokens)
    last, whole = model.prefill(tokens)
    equal(last, logits[:, -1])
    state = model.init_state(3)
    for t in range(seq):
        stepped, state = model.step(tokens[:, t], state)
        equal(stepped, logits[:, t])
    equal_states(state, whole)


def test_a_prompt_split_anywhere_and_into_any_parts():
    model, tokens = model_of(), tokens_of(2, 17)
    logits, end = model.prefill(tokens)
    for sizes in [[n, 17 - n] for n in range(1, 17)] + [[1, 1, 1, 14], [3, 5, 2, 7], [1] * 17]:
        state = None
        for part in tokens.split(sizes, dim=1):
            last, state = model.prefill(part, state)
        equal(last, logits)
        equal_states(state, end)


def test_the_future_does_not_act_on_the_past():
    model, tokens = model_of(), tokens_of(1, 20)
    logits = model(tokens)
    tokens[:, 12:] = (tokens[:, 12:] + 1) % 50
    changed = model(tokens)
    assert torch.equal(changed[:, :12], logits[:, :12])
    assert (changed[:, 12] - logits[:, 12]).abs().max() > 1e-3


def test_packed_sequences_do_not_leak():
    model, seqlens = model_of(), [1, 6, 2, 9, 3]
    sequences = [tokens_of(1, n, seed=n) for n in seqlens]
    packed = model(torch.cat(sequences, dim=1), starts=segment_starts(seqlens))
    for part, sequence in zip(packed.split(seqlens, dim=1), sequences, strict=True):
        equal(part, model(sequence))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_leak(side):
    model, lengths, width = model_of(), [9, 1, 4, 2], 9
    sequences = [tokens_of(1, n, seed=n) for n in lengths]
    for filler in (0, 49):
        tokens = torch.full((4, width), filler)
        mask = torch.zeros(4, width, dtype=torch.bool)
        for row, (n, sequence) in enumerate(zip(lengths, sequences, strict=True)):
            real = slice(0, n) if side == "right" else slice(width - n, width)
            tokens[row, real], mask[row, real] = sequence[0], True
        logits, (last, state) = model(tokens, mask=mask), model.prefill(tokens, mask=mask)
        following, _ = model.step(torch.tensor([7] * 4), state)
        for row, sequence in enumerate(sequences):
            alone, alone_state = model.prefill(sequence)
            equal(logits[row][mask[row]], model(sequence)[0])
            equal(last[row], alone[0])
            equal_states(state.rows(torch.tensor([row])), alone_state)
            equal(following[row], model.step(torch.tensor([7]), alone_state)[0][0])


def test_a_row_without_tokens_keeps_its_state():
    model = model_of()
    _, state = model.prefill(tokens_of(2, 5))
    mask = torch.tensor([[True, True, False], [False, False, False]])
    _, after = model.prefill(tokens_of(2, 3), state, mask)
    equal_states(after.rows(torch.tensor([1])), state.rows(torch.tensor([1])))


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_ragged_prompts_generate_what_each_would_alone(chunk_size):
    model = model_of()
    prompts = [tokens_of(1, n, seed=n)[0].tolist() for n in (4, 9, 1, 6)]
    together = generate(model, prompts, max_tokens=6, chunk_size=chunk_size)
    assert together == [generate(model, [prompt], max_tokens=6)[0] for prompt in prompts]


def test_the_state_has_one_size_and_is_never_changed():
    model = model_of(dtype=torch.float32)
    _, state = model.prefill(tokens_of(2, 3))
    kept = [(layer.scan.clone(), layer.history.clone()) for layer in state.layers]
    _, later = model.prefill(tokens_of(2, 500), state)
    for token in tokens_of(2, 30).T:
        _, later = model.step(token, later)
    assert later.n_bytes == state.n_bytes == 2 * 4 * model.config.state_numbers
    for layer, (scan, history) in zip(state.layers, kept, strict=True):
        assert torch.equal(layer.scan, scan)
        assert torch.equal(layer.history, history)


def test_initialisation_is_the_authors():
    torch.manual_seed(0)
    mixer = Mamba(MambaConfig.tiny(dim=1024, n_layers=1, d_state=16)).layers[0].mixer
    rates = -torch.exp(mixer.A_log)
    torch.testing.assert_close(rates, -torch.arange(1.0, 17).expand(2048, 16))
    assert (mixer.D == 1).all()
    delta = F.softplus(mixer.dt_proj.bias).detach()
    assert delta.min() >= 0.001 - 1e-6
    assert delta.max() <= 0.1 + 1e-6
    assert delta.median().item() == pytest.approx(0.01, rel=0.15)  # log-uniform; uniform: 0.05
    assert delta.log10().std().item() == pytest.approx(2 / math.sqrt(12), rel=0.05)


def test_gradients_reach_every_parameter_and_are_right():
    model = model_of().requires_grad_(True)
    tokens = tokens_of(2, 7)

    def loss():
        return F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

    gradients = torch.autograd.grad(loss(), list(model.parameters()))
    torch.manual_seed(0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        direction = torch.randn_like(parameter)
        step = 1e-5 * direction / direction.norm()
        with torch.no_grad():
            parameter += step
            up = loss()
            parameter -= 2 * step
            down = loss()
            parameter += step
        slope = (gradient * step).sum()
        assert (up - down).item() / 2 == pytest.approx(slope.item(), abs=1e-13, rel=1e-4)


@pytest.mark.parametrize("form", ["packed", "left", "right"])
def test_packed_and_padded_batches_train_as_their_sequences_would(form):
    model, lengths = model_of().requires_grad_(True), [7, 3, 1, 5]
    sequences = [tokens_of(1, n, seed=n) for n in lengths]
    expected = torch.autograd.grad(
        sum(model(sequence).logsumexp(-1).sum() for sequence in sequences),
        list(model.parameters()),
    )
    if form == "packed":
        logits = model(torch.cat(sequences, dim=1), starts=segment_starts(lengths))
    else:
        real = torch.arange(7) < torch.tensor(lengths)[:, None]
        real = real if form == "right" else real.flip(1)
        tokens = torch.full((4, 7), 49)
        tokens[real] = torch.cat(sequences, dim=1)[0]
        logits = model(tokens, mask=real)[real]
    got = torch.autograd.grad(logits.logsumexp(-1).sum(), list(model.parameters()))
    for ours, theirs in zip(got, expected, strict=True):
        equal(ours, theirs, tolerance=1e-9)


def test_a_tiny_mamba_learns_to_repeat():
    """Copy the token of two steps ago: only a state, or the convolution, can carry it."""
    from mixlab.common.training import TrainingConfig, train

    torch.manual_seed(0)
    model = Mamba(MambaConfig.tiny(dim=32, n_layers=1, vocab_size=16))
    generator = torch.Generator().manual_seed(0)

    def examples():
        while True:
            pairs = torch.randint(16, (16, 2), generator=generator)
            yield pairs.repeat(1, 8)  # a b a b a b …

    def loss(model, tokens):
        return F.cross_entropy(model(tokens)[:, 1:-1].flatten(0, 1), tokens[:, 2:].flatten())

    config = TrainingConfig(steps=120, learning_rate=1e-2)
    losses = train(model, loss, examples(), config, generator=generator, progress=False)
    assert losses[0] > 2.5
    assert losses[-1] < 0.1


def test_weight_decay_spares_what_it_would_harm():
    from mixlab.common.training import parameter_groups

    model = Mamba(MambaConfig.tiny())
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, spared = (
        {names[id(p)] for p in group["params"]} for group in parameter_groups(model, 0.1)
    )
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)
    for ending in ("A_log", "mixer.D", "dt_proj.bias", "conv1d.bias", "norm.weight"):
        assert sum(name.endswith(ending) for name in spared) >= model.config.n_layers


def test_low_precision_weights_run_in_every_form():
    model = model_of(dtype=torch.bfloat16)
    exact = model_of(dtype=torch.float32)
    tokens = tokens_of(2, 12)
    expected = exact(tokens)
    logits = model(tokens)
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - expected).norm() < 0.15 * expected.norm()
    _, state = model.prefill(tokens[:, :-1])
    stepped, _ = model.step(tokens[:, -1], state)
    assert (stepped.float() - expected[:, -1]).norm() < 0.15 * expected[:, -1].norm()
    assert state.layers[0].scan.dtype == torch.float32


def test_bad_input_is_told(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what users meet, not tests
    model = model_of()
    _, state = model.prefill(tokens_of(2, 3))
    with pytest.raises(ValueError, match="at least one token"):
        model(tokens_of(2, 0))
    with pytest.raises(ValueError, match="another batch or model"):
        model.step(torch.zeros(3, dtype=torch.long), state)
    with pytest.raises(ValueError, match="another batch or model"):
        model.prefill(tokens_of(1, 3), state)
    with pytest.raises(ValueError, match="another batch or model"):
        model_of(n_layers=3).prefill(tokens_of(2, 3), state)
    with pytest.raises(ValueError, match="mask must have the shape"):
        model(tokens_of(2, 3), mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="gap"):
        model.prefill(tokens_of(1, 3), mask=torch.tensor([[True, False, True]]))
    with pytest.raises(ValueError, match="130m, 370m"):
        MambaConfig.published("7b")
    with pytest.raises(ValueError, match="dt_min <= dt_max"):
        MambaConfig.tiny(dt_min=0.5)
    with pytest.raises(ValueError, match=r"becomes one by \.bool"):
        model(tokens_of(2, 3), mask=torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"a batch of one: tokens\[None\]"):
        model.prefill(torch.arange(3))
    with pytest.raises(ValueError, match="one token a sequence"):
        model.step(tokens_of(2, 3), state)
    unknown = torch.tensor([[3, 54]])
    for call in (model, model.prefill, lambda tokens: model.step(tokens[0], state)):
        with pytest.raises(ValueError, match="knows tokens 0 to 49: got ids from 3 to 54"):
            call(unknown)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(n_layers=2.5), "n_layers must be a whole number"),
        (dict(d_state=True), "d_state must be a whole number"),
        (dict(dt_rank=0), "dt_rank must be a whole number, 1 or more: got 0"),
        (dict(dim=0), "dim must be a whole number"),
        (dict(d_conv=-1), "d_conv must be a whole number"),
        (dict(norm_eps=0.0), "norm_eps .* must be positive"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(changes, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=says):
        MambaConfig.tiny(**changes)
