"""19.2 The scan as a table."""

from functools import partial

import numpy as np
import torch

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Texts of many lengths, rates a hundred times larger, and a long text of short steps."""
    sizes = [(4, 2), (1, 3), (2, 1), (6, 6), (9, 4)]
    sizes += [(int(rng.integers(3, 16)), int(rng.integers(1, 7))) for _ in range(4)]
    drawn = [arguments(rng, *size) for size in sizes]
    return [*drawn, arguments(rng, 16, 3, fastest=100.0), arguments(rng, 150, 2, step=0.1)]


def arguments(rng, seq, d_state, step=1.0, fastest=None):
    """(delta, A, B, C) of one channel; a third of the tokens have a Δ of 0."""
    delta = step * shared.between(rng, 0.1, 1.6, seq) * torch.from_numpy(rng.random(seq) < 0.7)
    A = -shared.between(rng, 0.3, 2.0, d_state)
    if fastest:
        A[-1] = -fastest
    return delta, A, shared.real(rng, seq, d_state), shared.real(rng, seq, d_state)


def read(value):
    table = read_reals(2)(value)
    for t, s in np.argwhere(~np.isfinite(table))[:1]:
        raise Unreadable(
            f"M[{t}, {s}] is {table[t, s]}: on the way to it numbers left the range of floats. A "
            "share that is kept lies between 0 and 1, and exp of a large number, or one divided "
            "by a small exp, does not. Compute the shares without them"
        )
    return table


ASKED = Asked(
    draw=draw,
    read=read,
    examples=tuple(
        arguments(np.random.default_rng(seed), *sizes)
        for seed, sizes in enumerate([(4, 2), (6, 3), (1, 2)], start=3)
    ),
    hints=(
        "Follow one token. It writes Δ_s B_s u_s into the state; then each later token "
        "multiplies the state by its own exp(Δ A); then C_t reads it.",
        "The product of exponentials is the exponential of a sum: A times the Δ of tokens "
        "s + 1 … t. Token s itself isn't in that sum: nothing has decayed when it is written.",
        "`elapsed = delta.cumsum(0)`; `elapsed[t] - elapsed[s]` is the time between s and t. "
        "Sum over the states C[t] * exp(A * time) * delta[s] * B[s], where s ≤ t.",
    ),
)

# --- kept back while grading ---


def elapsed(delta, t, s, first=1, stop=1):
    """The Δ of tokens s + first … t - 1 + stop, added up; negative where s is the later one."""
    if s > t:
        return -elapsed(delta, s, t, first, stop)
    return delta[s + first : t + stop].sum()


def table_of(
    time=elapsed,
    kept=lambda exponent: exponent.exp(),
    written=lambda delta, A: delta,
    summed=lambda parts: parts.sum(),
    read=lambda B, C: (B, C),
    ahead=False,
):
    """A table with another idea of the time that passes, of what is written, or of what reads."""

    def table(delta, A, B, C):
        delta, A, B, C = shared.in_float64(delta, A, B, C)
        (B, C), seq = read(B, C), len(delta)
        M = torch.zeros(seq, seq).double()
        for t in range(seq):
            for s in range(seq if ahead else t + 1):
                share = kept(A * time(delta, t, s))
                M[t, s] = summed(C[t] * share * written(delta[s], A) * B[s])
        return M

    return table


def by_differences(delta, A, B, C):
    now = delta.cumsum(0)
    time = (now[:, None] - now[None]).tril()
    table = torch.einsum("tn,tsn,sn->ts", C, torch.exp(time[..., None] * A), delta[:, None] * B)
    return table.tril()


def by_impulses(delta, A, B, C):
    """Column s is what the scan answers to an input of 1 at s and 0 elsewhere."""
    (delta, A, B, C), seq = shared.in_float64(delta, A, B, C), len(delta)
    h, rows = torch.zeros(seq, len(A)).double(), []
    for t in range(seq):
        h = torch.exp(delta[t] * A) * h
        h[t] += delta[t] * B[t]
        rows.append(h @ C[t])
    return torch.stack(rows)


def by_quotients(delta, A, B, C):
    """The short cut that a long text or a fast rate breaks: exp(A·elapsed) leaves the range."""
    decay = torch.exp(delta.cumsum(0)[:, None] * A)
    return ((C * decay) @ (delta[:, None] * B / decay).T).tril()


MISTAKES = {
    "token s decays by its own Δ before it is written. The time between s and t begins after s: "
    "the Δ of tokens s + 1 … t.": table_of(partial(elapsed, first=0)),
    "the time between s and t leaves out token t. The state decays, then token t is written, then "
    "C_t reads: the Δ of tokens s + 1 … t.": table_of(partial(elapsed, stop=0)),
    "the time between s and t runs over the Δ of tokens s … t - 1, one place early: what decays "
    "the state at a token is that token's own Δ.": table_of(partial(elapsed, first=0, stop=0)),
    "Δ_s is missing: what a token writes is Δ_s B_s u_s.": table_of(written=lambda delta, A: 1),
    "every step between s and t has its own Δ: add them up, instead of multiplying one of them by "
    "the distance.": (
        table_of(lambda delta, t, s: delta[t] * (t - s)),
        table_of(lambda delta, t, s: delta[s] * (t - s)),
    ),
    "the time between s and t is counted in tokens. Each token lasts for its own Δ.": table_of(
        lambda delta, t, s: t - s
    ),
    "the state decays once between s and t, by the Δ of one token. Every token in between lets it "
    "decay by its own.": (
        table_of(lambda delta, t, s: delta[t] * (s < t)),
        table_of(lambda delta, t, s: delta[s] * (s < t)),
    ),
    "nothing decays between s and t: each token between multiplies the state by "
    "exp(Δ A).": table_of(lambda delta, t, s: 0),
    "what token s wrote has decayed since the text began. It is written at s, and decays by the Δ "
    "of tokens s + 1 … t.": table_of(lambda delta, t, s: delta[: t + 1].sum()),
    "B is discretised by zero-order hold; as in 19.1, what is written is Δ_s B_s u_s.": table_of(
        written=lambda delta, A: torch.expm1(delta * A) / A
    ),
    "A is discretised by Euler, 1 + ΔA. As in 19.1, each step keeps exp(ΔA).": table_of(
        lambda delta, t, s: delta[s + 1 : t + 1, None], lambda exponents: (1 + exponents).prod(0)
    ),
    "A is discretised by Euler, for all steps from s to t at once. They keep "
    "exp(A · time).": table_of(kept=lambda exponent: 1 + exponent),
    "the time between s and t is Δ_t − Δ_s in yours. Δ are lengths, not times of the clock: those "
    "of tokens s + 1 … t add up.": table_of(lambda delta, t, s: delta[t] - delta[s]),
    "the shares grow: A is negative already.": table_of(kept=lambda exponent: (-exponent).exp()),
    "B and C are swapped: a row is read with C_t, a column was written with B_s.": table_of(
        read=lambda B, C: (C, B)
    ),
    "the states are averaged. C_t adds them up.": table_of(summed=lambda parts: parts.mean()),
    "Δ_t multiplies what token s wrote. It was written with the Δ of its own token, Δ_s.": (
        lambda delta, *rest: table_of(written=lambda delta, A: 1)(delta, *rest) * delta[:, None]
    ),
    "you sum over the states too early. Each decays with its own rate in A, between its own B and "
    "C: multiply all three, and then sum.": table_of(kept=lambda exponent: exponent.exp().sum()),
    "all states decay alike. Each has a rate of its own in A.": (
        table_of(kept=lambda exponent: exponent.mean().exp()),
        table_of(kept=lambda exponent: exponent.sum().exp()),
    ),
    "rows and columns are swapped: a row is an output t, a column an input s.": lambda *given: (
        by_impulses(*given).T
    ),
    "the entries above the diagonal must be 0: no output depends on a later input.": (
        table_of(ahead=True),
        table_of(lambda *given: abs(elapsed(*given)), ahead=True),
    ),
    "the diagonal is missing: token t reads what it has written itself.": lambda *given: (
        by_impulses(*given).tril(-1)
    ),
    "only the diagonal is there: what a token writes is read by later ones too.": lambda *given: (
        by_impulses(*given).diag().diag()
    ),
}

KNOWN = Known(
    right=(table_of(), by_differences, by_impulses),
    mistakes=MISTAKES,
    slips={"left the range of floats": by_quotients},
    show=lambda delta, A, *rest: (
        f"influence(delta, A, B, C) with seq = {len(delta)}, d_state = {len(A)}"
    ),
    place=lambda at: f"output {at[0]}, input {at[1]}" if at else "",
    name="{:.4f}".format,
)
