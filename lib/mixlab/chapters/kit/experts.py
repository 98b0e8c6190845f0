"""One colour an expert, and the letters' colour on it: the same wherever experts are shown.

Source: Paul Tol, "Colour Schemes" (2021), the scheme "muted" without its rose: distinguishable with
every common kind of colour blindness, and none of them means anything else in this course. Its
indigo is lightened, to be seen on a dark page.
"""

import plotly.graph_objects as go

EXPERTS = (
    ("#4B3FA0", "#FFF"),
    ("#88CCEE", "#000"),
    ("#44AA99", "#000"),
    ("#117733", "#FFF"),
    ("#999933", "#000"),
    ("#DDCC77", "#000"),
    ("#882255", "#FFF"),
    ("#AA4499", "#FFF"),
)


def palette(n_experts: int) -> tuple[list[str], list[str]]:
    """The experts' colours, and those of letters on them.

    Raises:
        ValueError: if there are more experts than the eye tells apart by colour.

    >>> palette(2)
    (['#4B3FA0', '#88CCEE'], ['#FFF', '#000'])
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
