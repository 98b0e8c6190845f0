"""Figures of chapter 08: experts' shares, neighbours' repetition, what an expert's loss costs.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. Text coloured by
expert is in `colored_text.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.experts import expert_legend, palette

# Letters and lines in one colour, that both are read on white paper.
_APART = "#AD4FA0"  # the one kind that a figure names
_LINES = (_APART, "#1B824B", "#6F62D4", "#6B747C")


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
    colors, _ = palette(n_experts)

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
                color="#777",  # seen on white and on black
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
        # A veil at the low end: what is nothing recedes into a dark page too.
        colorscale=[[0, "rgba(0, 114, 178, 0.05)"], [1, "rgba(0, 114, 178, 0.7)"]],
        xgap=2,
        ygap=2,
        colorbar=dict(title=dict(text=unit, side="right")),
        hovertemplate=f"{row_title} %{{y}}, {column_title} %{{x}}: %{{text}}<extra></extra>",
    )
    # Not the heat map's own text: this one is in the page's ink.
    at = [(str(column), str(row)) for row in rows for column in columns]
    shown.add_scatter(
        x=[column for column, _ in at],
        y=[row for _, row in at],
        text=[text for row in written for text in row],
        mode="text",
        textfont_size=16,
        hoverinfo="skip",
        showlegend=False,
    )
    whole = dict(type="category", showgrid=False)
    shown.update_xaxes(title_text=column_title, range=[-0.5, len(columns) - 0.5], **whole)
    shown.update_yaxes(title_text=row_title, range=[len(rows) - 0.5, -0.5], **whole)
    return shown.update_yaxes(title_standoff=14)


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
    n_experts = shares[kinds[0]].shape[1]
    for column in range(len(layers)):
        for expert, back in enumerate(palette(n_experts)[0]):
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
    expert_legend(shown, n_experts, y=-0.22, yanchor="top", x=0.5, xanchor="center")
    shown.update_layout(barmode="stack", legend_traceorder="normal", margin=dict(t=100, b=90))
    shown.update_xaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.5, 1])
    shown.update_xaxes(ticktext=["0", "50%", ""], title_text="share")
    return shown


def repetition(
    values: Mapping[str, np.ndarray],
    chance: Sequence[float],
    layers: Sequence[int],
    apart: str,
    title: str,
) -> go.Figure:
    """How often neighbours share an expert, by layer: two panels, a line a kind of text.

    Args:
        values: kind to (2, layers): the first choice alone, and first or second.
        chance: of the two, for random routing.
        layers: the layers' numbers.
        apart: the kind that is named; the others stand behind it, all alike.
        title: the claim.
    """
    titles = ["the same first choice", "any choice in common"]
    shown = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    x = list(range(len(layers)))  # evenly apart, whatever the layers' numbers
    others = [kind for kind in values if kind != apart]
    for panel in (0, 1):
        place = dict(row=1, col=panel + 1)
        for kind in (*others, apart):
            named = kind == apart
            under = (values[kind][panel] < chance[panel]) | (np.array(x) == x[-1])
            shown.add_scatter(
                x=x,
                y=values[kind][panel].round(4).tolist(),
                mode="lines+markers+text" if named else "lines",
                line=dict(color=_APART if named else "#9AA3AB", width=3.5 if named else 1.5),
                marker=dict(size=9, opacity=1),
                text=[f"{share:.1%}" for share in values[kind][panel]],
                textposition=np.where(under, "bottom center", "top center").tolist(),
                textfont=dict(color=_APART, size=15),
                cliponaxis=False,
                customdata=[f"layer {layer}" for layer in layers],
                hovertemplate="%{customdata}: %{y:.1%}<extra>" + kind + "</extra>",
                showlegend=False,
                **place,
            )
        shown.add_hline(y=chance[panel], line=dict(dash="dash", color="#666"), **place)
        # Under the line's middle, where points rise above it.
        words = dict(text=f"chance: {chance[panel]:.1%}", showarrow=False, yanchor="top")
        shown.add_annotation(x=x[-1] / 2, y=chance[panel], **words, **place)
    names = {f"<b>{apart}</b>": (0.10, _APART), f"{len(others)} other kinds": (0.02, "#6B747C")}
    for name, (height, color) in names.items():
        words = dict(text=name, font=dict(color=color, size=16), showarrow=False, xanchor="right")
        shown.add_annotation(x=0.44, y=height, xref="paper", yref="paper", **words)
    shown.update_layout(theme.figure(title, height=470).layout)
    shown.update_xaxes(title_text="layer", tickvals=x, ticktext=[str(n) for n in layers])
    shown.update_xaxes(showgrid=False, range=[-0.4, len(layers) - 0.6])
    top = max(float(numbers.max()) for numbers in values.values())
    shown.update_yaxes(tickformat=".0%", rangemode="tozero", range=[0, 1.08 * top])
    shown.update_yaxes(title_text="share of neighbours", col=1)
    shown.update_layout(margin=dict(t=100))
    return shown


def by_layer(
    lines: Mapping[str, np.ndarray],
    *,
    title: str,
    y_title: str,
    ends: Mapping[str, np.ndarray] | None = None,
) -> go.Figure:
    """Shares layer by layer, at most five lines, each with its name at its end.

    Args:
        lines: name to (layers,), between 0 and 1.
        title: the claim.
        y_title: what is a share of what.
        ends: name to (2, layers), lower and upper ends of each number's interval, drawn as bars.
    """
    shown = theme.figure(title, height=460, showlegend=False)
    last = {name: float(values[-1]) for name, values in lines.items()}
    top = max(float(np.max(values)) for values in lines.values())
    heights = _spread(last, least=0.07 * top)
    for (name, values), color in zip(lines.items(), _LINES, strict=False):
        x = list(range(len(values)))
        shown.add_scatter(
            x=x,
            y=np.round(values, 4).tolist(),
            mode="lines+markers",
            line=dict(width=3.5, color=color),
            marker_size=9,
            hovertemplate="layer %{x}: %{y:.1%}<extra>" + name + "</extra>",
        )
        if ends:
            low, high = ends[name]
            bars = dict(array=high - values, arrayminus=values - low, thickness=2, width=5)
            shown.data[-1].error_y = dict(type="data", symmetric=False, **bars)
        words = dict(text=f"<b>{name}</b>", font=dict(color=color, size=16), showarrow=False)
        shown.add_annotation(x=x[-1] + 0.12, y=heights[name], xanchor="left", **words)
    shown.update_xaxes(title_text="layer", dtick=1, range=[-0.2, len(x) - 0.8], showgrid=False)
    shown.update_yaxes(title_text=y_title, tickformat=".0%", range=[0, 1.12 * top])
    shown.update_layout(margin_r=260)
    return shown


def _spread(places: Mapping[str, float], least: float) -> dict[str, float]:
    """The places moved apart upwards until each is `least` above the one below it."""
    moved: dict[str, float] = {}
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        moved[name] = max(place, max(moved.values(), default=-np.inf) + least)
    return moved


def who_pays(panels: Mapping[str, np.ndarray], kinds: Sequence[str], title: str) -> go.Figure:
    """What the loss of a kind's favourites costs itself, and others: two points a kind, in panels.

    Args:
        panels: from where experts are taken, to (2, kinds, 2): the price of the kind itself and of
            whichever other kind pays most, in more bits per byte, each with its standard error.
        kinds: their names, from the top.
        title: the claim.
    """
    shown = make_subplots(
        1, len(panels), subplot_titles=list(panels), shared_yaxes=True, horizontal_spacing=0.04
    )
    looks = {
        "the kind itself": (theme.NOW, "circle"),
        "whoever else pays most": (theme.SEEN, "square"),
    }
    for column, prices in enumerate(panels.values(), start=1):
        for who, (name, (color, symbol)) in enumerate(looks.items()):
            shown.add_scatter(
                x=prices[who, :, 0].round(4),
                y=list(kinds),
                error_x=dict(array=prices[who, :, 1].round(4), thickness=2, width=4),
                mode="markers",
                name=name,
                marker=dict(size=13, color=color, symbol=symbol, opacity=1),
                showlegend=column == 1,
                hovertemplate="%{y}: %{x:.3f} more bits per byte<extra>" + name + "</extra>",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=470).layout)
    shown.update_annotations(font_size=16)
    shown.update_xaxes(title_text="more bits per byte", rangemode="tozero")
    shown.update_yaxes(autorange="reversed", tickfont_size=15)
    shown.update_yaxes(title_text="whose favourites are taken", col=1)
    legend = dict(orientation="h", x=0.5, xanchor="center", y=-0.2, title_text="who pays: ")
    shown.update_layout(legend=legend, margin=dict(t=100, b=110))
    return shown
