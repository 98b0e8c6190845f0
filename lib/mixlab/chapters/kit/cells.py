"""Grids of coloured cells: masks, slots, tables of who sees whom."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go


def cells(
    values: np.ndarray,
    colors: Sequence,
    names: Sequence[str],
    gap: float = 1,
    rows: str = "query",
    columns: str = "key",
) -> go.Heatmap:
    """A picture of small whole numbers, one coloured cell each; hovering names the cell.

    Args:
        values: (rows, columns) of truth values or of 0, 1, …, len(names) - 1.
        colors: Plotly colour scale from 0 to the last number.
        names: what each number means.
        gap: between cells, in pixels.
        rows, columns: what a row and a column stand for.
    """
    numbers = values.astype(int)
    return go.Heatmap(
        z=numbers,
        zmin=0,
        zmax=len(names) - 1,
        colorscale=colors,
        showscale=False,
        xgap=gap,
        ygap=gap,
        text=np.array(names, dtype=object)[numbers],
        hovertemplate=f"{rows} %{{y}}, {columns} %{{x}}: %{{text}}<extra></extra>",
    )


def legend(shown: go.Figure, kinds: Sequence[str], scale: Sequence) -> None:
    """A square for each number of a colour scale, and what it means."""
    for kind, (_, color) in zip(kinds, scale, strict=True):
        # A list, so that a dark deck leaves the grey as it is, like the cells it stands for.
        mark = dict(color=[color], symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=mark)


def square_panels(shown: go.Figure, panels: int, rows: int) -> None:
    """Square cells in every panel of a figure with subplots, row 0 at the top."""
    shown.update_xaxes(showgrid=False, constrain="domain")
    shown.update_yaxes(showgrid=False, constrain="domain", range=[rows - 0.5, -0.5])
    shown.update_yaxes(constraintoward="top")  # right under the panel's title
    for number in range(panels):
        axis = "" if number == 0 else str(number + 1)
        shown.layout[f"yaxis{axis}"].scaleanchor = f"x{axis}"
