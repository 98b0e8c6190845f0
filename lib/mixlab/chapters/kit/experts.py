"""One colour an expert, and the letters' colour on it: the same in every figure of chapter 08."""

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

EXPERTS = (
    (theme.BLUE, "#FFF"),
    (theme.ORANGE, "#000"),
    (theme.GREEN, "#000"),
    (theme.PINK, "#000"),
    (theme.VERMILION, "#000"),
    (theme.SKY, "#000"),
    (theme.YELLOW, "#000"),
    ("#8F8672", "#000"),  # no pure grey: dark slides exchange those
)


def palette(n_experts: int) -> tuple[list[str], list[str]]:
    """The experts' colours, and those of letters on them.

    Raises:
        ValueError: if there are more experts than the eye tells apart by colour.

    >>> palette(2)
    (['#0072B2', '#E69F00'], ['#FFF', '#000'])
    """
    if not 1 <= n_experts <= len(EXPERTS):
        raise ValueError(
            f"there are colours for 1 to {len(EXPERTS)} experts: got {n_experts}. Show fewer, or "
            "write their numbers"
        )
    backs, fronts = zip(*EXPERTS[:n_experts], strict=True)
    return list(backs), list(fronts)


def expert_legend(shown: go.Figure, n_experts: int, **place) -> None:
    """Name the experts' colours once, above the figure or where `place` puts it."""
    for number, back in enumerate(palette(n_experts)[0]):
        shown.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=str(number),
            marker=dict(color=back, symbol="square", size=13),
        )
    above = dict(orientation="h", title_text="expert ", x=1, xanchor="right", y=1, yanchor="bottom")
    shown.update_layout(legend=above | place)
