"""Figures of chapter 16: what several seeds reach, and what a layer keeps under each token.

Each takes plain numbers and returns a Plotly figure. How slots fill is a piece of the stage,
`copying`.
"""

from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import series, theme

_COLORS = (theme.SKY, "#B5A67E", "#B59BE0", "#33B58F")  # models: none of these means anything


def seeds(
    models: Mapping[str, Mapping[str, Sequence[Real]]],
    guess: Real | None,
    title: str,
    y_title: str,
) -> go.Figure:
    """Bars of what models reach on average, and a point for each seed.

    Args:
        models: name to question to what each seed reaches, between 0 and 1.
        guess: what guessing reaches, drawn as a line; None for no line.
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
            marker_color=_COLORS[number],
            text=[f"{mean:.0%}" for mean in means],
            textposition="inside",
            textangle=0,
            insidetextanchor="start",
            textfont=dict(size=16, color="#111"),
            constraintext="none",
            hovertemplate="%{x}: %{y:.0%}<extra>" + name + "</extra>",
        )
        series.seed_points(shown, number, name, questions, jitter=0.4)
    if guess is not None:
        series.guess_line(shown, guess)
    shown.update_yaxes(title_text=y_title, tickformat=".0%", range=[0, 1.04])
    shown.update_xaxes(tickfont_size=16, showgrid=False)
    legend = dict(orientation="h", x=0, y=-0.14, yanchor="top", font_size=16)
    return shown.update_layout(barmode="group", boxmode="group", legend=legend, margin_r=90)


def kept(
    tokens: Sequence[str], shares: Sequence[Sequence[Real]], title: str, x_title: str
) -> go.Figure:
    """What is kept of a state while each token lasts: a row a token, a column a channel.

    Args:
        tokens: the rows.
        shares: between 0 and 1, for each token and channel.
        title: the claim.
        x_title: what the columns are.
    """
    shown = theme.figure(title, height=430)
    shown.add_heatmap(
        z=[[round(float(share), 3) for share in row] for row in shares],
        y=list(tokens),
        xgap=2,
        ygap=2,
        zmin=0,
        zmax=1,
        colorscale=theme.HIDDEN_VISIBLE,
        colorbar=dict(title_text="kept", tickformat=".0%"),
        hovertemplate="%{y}, channel %{x}: %{z:.0%} kept<extra></extra>",
    )
    shown.update_xaxes(title_text=x_title, showgrid=False, dtick=1)
    return shown.update_yaxes(
        title_text="token", type="category", autorange="reversed", showgrid=False, tickfont_size=17
    )
