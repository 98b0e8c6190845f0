"""Figures of chapter 20: bills over a text, what small models recall, and what that takes.

Each takes plain numbers and returns a Plotly figure. The stack of layers is a piece of the stage,
`stack`.
"""

from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import series, theme

# Parts, and a whole of them; none of these colours means anything else in the course.
_LOOKS = {
    "window": ("#B59BE0", "square"),
    "scan": ("#56A5D8", "circle"),
    "experts": ("#33B58F", "diamond"),
    "all three": ("#777777", "star"),
}


def by_question(
    models: Mapping[str, Mapping[str, Sequence[Real]]], guess: Real, title: str, y_title: str
) -> go.Figure:
    """What models reach in several kinds of question: a bar from 0 to the mean, a point a seed.

    A model is named by its part, or "all three"; what is "without" a part has that part's colour,
    hatched.

    Args:
        models: name to question to what each seed reaches, between 0 and 1.
        guess: what guessing reaches.
        title: the claim.
        y_title: what is reached.
    """
    shown = theme.figure(title, height=440)
    for number, (name, questions) in enumerate(models.items()):
        means = [sum(reached) / len(reached) for reached in questions.values()]
        shown.add_bar(
            x=list(questions),
            y=means,
            name=name,
            offsetgroup=number,
            marker=dict(
                color=_LOOKS[name.removeprefix("without ")][0],
                pattern_shape="/" if name.startswith("without") else "",
            ),
            hovertemplate="%{x}: %{y:.0%}<extra>" + name + "</extra>",
        )
        series.seed_points(shown, number, name, questions, jitter=0.5)
    series.guess_line(shown, guess)
    shown.update_yaxes(title_text=y_title, title_standoff=12, tickformat=".0%", range=[0, 1.06])
    shown.update_xaxes(tickfont_size=17, showgrid=False)
    legend = dict(orientation="h", x=0, y=-0.14, yanchor="top", font_size=16)
    return shown.update_layout(barmode="group", boxmode="group", legend=legend, margin_r=90)


def against_memory(
    models: Mapping[str, tuple[Sequence[Real], Sequence[Sequence[Real]]]],
    title: str,
    y_title: str,
) -> go.Figure:
    """What models reach against the bytes they keep: a point a seed, a line through the means.

    Args:
        models: name to its sizes in bytes, and what each seed reaches at each of them.
        title: the claim.
        y_title: what is reached.
    """
    shown = theme.figure(title, height=450)
    sizes = sorted({size for given, _ in models.values() for size in given})
    for name, (given, reached) in models.items():
        color, symbol = _LOOKS[name]
        look = dict(color=color, symbol=symbol, size=11, line=dict(width=1, color="white"))
        shown.add_scatter(
            x=list(given),
            y=[sum(shares) / len(shares) for shares in reached],
            mode="lines",
            line=dict(color=color, width=3),
            name=name,
            hoverinfo="skip",
            showlegend=False,
        )
        shown.add_scatter(
            x=[size for size, shares in zip(given, reached, strict=True) for _ in shares],
            y=[share for shares in reached for share in shares],
            mode="markers",
            marker=look,
            name=name,
            hovertemplate="%{x:,} bytes: %{y:.0%}<extra>" + name + "</extra>",
        )
    ticks = [2**power for power in range(7, 14) if sizes[0] / 2 <= 2**power <= 2 * sizes[-1]]
    shown.update_xaxes(
        title_text="bytes kept of a text of 24 tokens",
        type="log",
        tickvals=ticks,
        ticktext=[f"{at:,}" for at in ticks],
    )
    shown.update_yaxes(title_text=y_title, title_standoff=12, tickformat=".0%", range=[0, 1.06])
    legend = dict(orientation="h", x=0, y=-0.27, yanchor="top", font_size=16)
    return shown.update_layout(legend=legend, margin_b=125)
