"""Figures of chapter 08: text coloured by expert, shares, repetition, what an expert's loss costs.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure; `colored_html`
returns HTML, for text that is typed while the kernel runs.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.figures import theme

# One colour an expert, and the text's on it. Experts are told apart by these in every figure.
EXPERTS = (
    (theme.BLUE, "#FFF"),
    (theme.ORANGE, "#000"),
    (theme.GREEN, "#FFF"),
    (theme.PINK, "#000"),
    (theme.VERMILION, "#FFF"),
    (theme.SKY, "#000"),
    (theme.YELLOW, "#000"),
    ("#8C8C8C", "#FFF"),
)


def shown_piece(piece: str) -> str:
    """A token as it is drawn: spaces keep their place, a line's end has a sign.

    >>> shown_piece("\\n  if")
    '↵··if'
    """
    lead = len(piece) - len(piece.lstrip(" \n"))
    blank = piece[:lead].replace("\n", "↵")
    return (blank if blank == " " and lead < len(piece) else blank.replace(" ", "·")) + piece[lead:]


def _rows(pieces: Sequence[str], columns: int) -> list[tuple[int, int]]:
    """(row, column) of each piece: a new row where one is full, and after a line's end."""
    places, row, column = [], 0, 0
    for piece in pieces:
        width = len(shown_piece(piece))
        # A line's end that brings the next line's indentation with it belongs to that line.
        indents = piece.startswith("\n") and not piece.endswith("\n")
        if column and (indents or column + width > columns):
            row, column = row + 1, 0
        places.append((row, column))
        column += width
        if piece.endswith("\n"):
            row, column = row + 1, 0
    return places


def colored_text(
    texts: Mapping[str, Sequence[str]],
    experts: Mapping[str, np.ndarray],
    title: str,
    layer: int = 0,
    columns: int = 44,
) -> go.Figure:
    """Texts, each token on the colour of its expert, with a player over the layers.

    The first text stands on the left, the others below each other on the right.

    Args:
        texts: name to the tokens' texts.
        experts: name to (layers, tokens), each token's first expert.
        title: the claim.
        layer: shown first.
        columns: letters in a line, of each side.
    """
    words, base, width, height, hover, numbers = [], [], [], [], [], []
    headings, tops = [], {0: 0.0, columns + 3: 0.0}  # left edge of a side to its next free row
    for number, (name, pieces) in enumerate(texts.items()):
        left = 0 if number == 0 else columns + 3
        top = tops[left]
        headings.append((name, left, top))
        places = _rows(pieces, columns)
        for (row, column), piece in zip(places, pieces, strict=True):
            words.append(shown_piece(piece).replace(" ", "\u00a0"))
            base.append(left + column)
            width.append(len(shown_piece(piece)))
            height.append(-(top + 1 + row))
            hover.append(f"{name}: {escape(shown_piece(piece))}")
        numbers.append(experts[name])
        tops[left] = top + places[-1][0] + 2.4
    top = max(tops.values())
    numbers = np.concatenate(numbers, axis=1)
    backs, fronts = (np.array(side) for side in zip(*EXPERTS, strict=True))

    def colors(which: int) -> dict:
        return dict(
            marker=dict(color=backs[numbers[which]].tolist(), line=dict(width=1, color="white")),
            textfont=dict(color=fronts[numbers[which]].tolist()),
            customdata=numbers[which].tolist(),
        )

    shown = theme.figure(title, height=round(150 + 24 * top + 90))
    shown.add_bar(
        x=width,
        y=height,
        base=base,
        text=words,
        orientation="h",
        width=0.88,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        hovertext=hover,
        hovertemplate="%{hovertext}<br>expert %{customdata}<extra></extra>",
        showlegend=False,
        **colors(layer),
    )
    shown.update_traces(textfont_family="monospace", textfont_size=14)
    _expert_legend(shown)
    names = [str(number) for number in range(len(numbers))]
    shown.frames = [
        go.Frame(name=name, data=[dict(type="bar", **colors(number))])
        for number, name in enumerate(names)
    ]
    for name, left, where in headings:
        shown.add_annotation(
            x=left, y=-where, text=f"<b>{name}</b>", showarrow=False, xanchor="left", font_size=14
        )
    shown.update_xaxes(visible=False, range=[0, 2 * columns + 3], fixedrange=True)
    shown.update_yaxes(visible=False, range=[0.4 - top, 0.7], fixedrange=True)
    theme.player(shown, names, "layer ", milliseconds=1500, start=layer)
    shown.update_layout(bargap=0, margin=dict(l=10, r=10, t=60))
    return shown


def _expert_legend(shown: go.Figure, **place) -> None:
    for number, (back, _) in enumerate(EXPERTS):
        shown.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=str(number),
            marker=dict(color=back, symbol="square", size=13),
        )
    legend = dict(
        orientation="h", title_text="expert ", x=1, xanchor="right", y=1, yanchor="bottom"
    )
    shown.update_layout(legend=legend | place)


def colored_html(pieces: Sequence[str], chosen: np.ndarray, gates: np.ndarray) -> str:
    """A text as HTML, each token on the colour of its first expert; the pointer tells the rest.

    Args:
        pieces: the tokens' texts.
        chosen: (tokens, k), the experts that ran, best first.
        gates: (tokens, k), their weights.
    """
    spans = []
    for piece, experts, weights in zip(pieces, chosen, gates, strict=True):
        back, front = EXPERTS[int(experts[0])]
        pairs = zip(experts, weights, strict=True)
        told = ", ".join(f"expert {int(e)}: {float(w):.0%}" for e, w in pairs)
        spans.append(
            f'<span title="{told}" style="background:{back};color:{front};border-radius:3px;'
            f'padding:1px 0">{escape(shown_piece(piece))}</span>'
            + ("<br>" if piece.endswith("\n") else "")
        )
    style = "font-family:monospace;font-size:15px;line-height:1.8;white-space:pre-wrap"
    return f'<div style="{style}">{"".join(spans)}</div>'


def kind_shares(
    shares: np.ndarray, low: np.ndarray, high: np.ndarray, kinds: Sequence[str], title: str
) -> go.Figure:
    """Each kind's choices over the experts, a panel a kind; the player begins at the last layer.

    Args:
        shares: (layers, kinds, experts), rows summing to 1.
        low, high: ends of the intervals, the same shape.
        kinds: the panels' names.
        title: the claim.
    """
    n_layers, n_kinds, n_experts = shares.shape
    across, down, layer = 4, -(-n_kinds // 4), n_layers - 1
    shown = make_subplots(
        down,
        across,
        subplot_titles=list(kinds),
        shared_yaxes=True,
        shared_xaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.16,
    )
    colors = [back for back, _ in EXPERTS[:n_experts]]

    def panel(at: int, kind: int) -> dict:
        value = shares[at, kind].round(4)
        return dict(
            type="bar",
            y=value.tolist(),
            error_y=dict(
                type="data",
                symmetric=False,
                array=(high[at, kind] - value).round(4).tolist(),
                arrayminus=(value - low[at, kind]).round(4).tolist(),
                color="#444",
                thickness=1.5,
                width=3,
            ),
        )

    for kind in range(n_kinds):
        bar = go.Bar(
            x=list(range(n_experts)),
            marker_color=colors,
            showlegend=False,
            hovertemplate="expert %{x}: %{y:.1%}<extra>" + kinds[kind] + "</extra>",
            **{key: value for key, value in panel(layer, kind).items() if key != "type"},
        )
        shown.add_trace(bar, kind // across + 1, kind % across + 1)
    names = [str(at) for at in range(n_layers)]
    shown.frames = [
        go.Frame(name=name, data=[panel(at, kind) for kind in range(n_kinds)])
        for at, name in enumerate(names)
    ]
    shown.update_layout(theme.figure(title, height=560).layout)
    shown.add_hline(y=1 / n_experts, line=dict(dash="dash", color="#666", width=1.5))
    shown.update_xaxes(showgrid=False, dtick=1)
    shown.update_xaxes(title_text="expert", row=down)
    shown.update_yaxes(range=[0, min(1, 1.05 * float(high.max()))], tickformat=".0%")
    shown.update_yaxes(title_text="share of choices", col=1)
    shown.update_layout(margin=dict(t=100))
    theme.player(shown, names, "layer ", milliseconds=1500, start=layer)
    return shown


def heat(
    values: np.ndarray,
    rows: Sequence,
    columns: Sequence,
    *,
    title: str,
    row_title: str,
    column_title: str,
    unit: str,
    form: str = ".2f",
) -> go.Figure:
    """A table of numbers, the larger the darker, each written into its cell.

    Args:
        values: (rows, columns).
        rows, columns: their names.
        title: the claim.
        row_title, column_title: what a row and a column stand for.
        unit: what the numbers are, beside the colour bar.
        form: how a number is written.
    """
    shown = theme.figure(title, height=150 + 42 * len(rows))
    written = [[format(value, form) for value in row] for row in values.round(4) + 0.0]
    written = [[text.lstrip("-") if not float(text) else text for text in row] for row in written]
    shown.add_heatmap(
        z=values.round(4),
        x=[str(column) for column in columns],
        y=[str(row) for row in rows],
        text=written,
        texttemplate="%{text}",
        textfont_size=13,
        colorscale="Cividis",
        reversescale=True,
        xgap=2,
        ygap=2,
        colorbar=dict(title=dict(text=unit, side="right")),
        hovertemplate=f"{row_title} %{{y}}, {column_title} %{{x}}: %{{text}}<extra></extra>",
    )
    shown.update_xaxes(title_text=column_title, type="category", showgrid=False)
    shown.update_yaxes(title_text=row_title, type="category", showgrid=False, autorange="reversed")
    return shown


def token_shares(shares: Mapping[str, np.ndarray], layers: Sequence[int], title: str) -> go.Figure:
    """Where one token goes in each kind of text: bars over the experts, a panel a layer.

    Args:
        shares: kind to (len(layers), experts), each row summing to 1.
        layers: the panels' numbers.
        title: the claim.
    """
    shown = make_subplots(
        1,
        len(layers),
        subplot_titles=[f"layer {layer}" for layer in layers],
        shared_yaxes=True,
        horizontal_spacing=0.04,
    )
    kinds = list(shares)[::-1]
    for column in range(len(layers)):
        for expert, (back, _) in enumerate(EXPERTS):
            bar = go.Bar(
                x=[float(shares[kind][column][expert].round(4)) for kind in kinds],
                y=kinds,
                orientation="h",
                marker=dict(color=back, line=dict(width=1, color="white")),
                showlegend=False,
                hovertemplate="%{y}: %{x:.0%}<extra>expert " + str(expert) + "</extra>",
            )
            shown.add_trace(bar, 1, column + 1)
    shown.update_layout(theme.figure(title, height=430).layout)
    _expert_legend(shown, y=-0.22, yanchor="top", x=0.5, xanchor="center")
    shown.update_layout(barmode="stack", margin=dict(t=100, b=90))
    shown.update_xaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.5, 1])
    shown.update_xaxes(ticktext=["0", "50%", ""], title_text="share")
    return shown


def repetition(
    values: Mapping[str, np.ndarray],
    chance: Sequence[float],
    layers: Sequence[int],
    title: str,
    shuffled: Mapping[str, np.ndarray] | None = None,
) -> go.Figure:
    """How often neighbours share an expert, by layer: two panels, a line a kind of text.

    What lies below chance is marked and named.

    Args:
        values: kind to (2, layers): the first choice alone, and first or second.
        chance: of the two, for random routing.
        layers: the layers' numbers.
        title: the claim.
        shuffled: the same with the tokens in random order.
    """
    titles = ["the same first choice", "any choice in common"]
    shown = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    x = list(range(len(layers)))  # evenly apart, whatever the layers' numbers
    for panel in (0, 1):
        for kind, numbers in values.items():
            below = numbers[panel] < chance[panel]
            shown.add_scatter(
                x=x,
                y=numbers[panel].round(4).tolist(),
                mode="lines+markers",
                name="a kind of text",
                legendgroup="kinds",
                showlegend=panel == 0 and kind == next(iter(values)),
                line=dict(color=theme.BLUE, width=1.5),
                marker=dict(
                    size=np.where(below, 13, 8).tolist(),
                    color=np.where(below, theme.VERMILION, theme.BLUE).tolist(),
                    symbol=np.where(below, "diamond", "circle").tolist(),
                ),
                text=[f"layer {layer}" for layer in layers],
                hovertemplate="%{text}: %{y:.1%}<extra>" + kind + "</extra>",
                row=1,
                col=panel + 1,
            )
            for where in np.flatnonzero(below):
                shown.add_annotation(
                    x=x[where],
                    y=float(numbers[panel][where]),
                    text=f"{kind}<br>{numbers[panel][where]:.1%}",
                    ay=34,
                    ax=44 if where == 0 else -44,
                    font_color=theme.VERMILION,
                    row=1,
                    col=panel + 1,
                )
        for kind, numbers in (shuffled or {}).items():
            shown.add_scatter(
                x=x,
                y=numbers[panel].round(4).tolist(),
                mode="markers",
                name="the same, shuffled",
                legendgroup="shuffled",
                showlegend=panel == 0 and kind == next(iter(shuffled)),
                marker=dict(symbol="x-thin", size=8, line=dict(width=2, color=theme.ORANGE)),
                text=[f"layer {layer}" for layer in layers],
                hovertemplate="%{text}: %{y:.1%}<extra>" + kind + ", shuffled</extra>",
                row=1,
                col=panel + 1,
            )
        shown.add_hline(
            y=chance[panel],
            line=dict(dash="dash", color="#666"),
            annotation=dict(
                text=f"chance: {chance[panel]:.1%}", font_size=13, xanchor="right", yanchor="bottom"
            ),
            row=1,
            col=panel + 1,
        )
    shown.update_layout(theme.figure(title, height=470).layout)
    shown.update_xaxes(title_text="layer", tickvals=x, ticktext=[str(n) for n in layers])
    shown.update_xaxes(showgrid=False, range=[-0.4, len(layers) - 0.6])
    top = max(float(numbers.max()) for numbers in values.values())
    shown.update_yaxes(tickformat=".0%", rangemode="tozero", range=[0, 1.08 * top])
    shown.update_yaxes(title_text="share of neighbours", col=1)
    shown.update_layout(margin=dict(t=100), legend=dict(orientation="h", y=-0.2))
    return shown
