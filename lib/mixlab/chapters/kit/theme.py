"""One look for every figure: Okabe and Ito's colours, plain axes, a title that is a claim.

Source of the colours: Okabe and Ito, "Color Universal Design" (2008): distinguishable with every
common kind of colour blindness, and in grey. The background is white paper, so that a figure
reads the same in a light and in a dark notebook; slides exchange it for their own.
"""

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILION, SKY, YELLOW, BLACK = "#D55E00", "#56B4E9", "#F0E442", "#000000"
GREY = "#E6E6E6"

# A colour means one thing in the whole course. What is gone is a veil, so that it recedes into a
# white page and into a dark one.
NOW = ORANGE  # the token or query that acts
SEEN = BLUE  # what it sees or keeps
GONE = "rgba(128, 128, 128, 0.2)"  # overwritten, or hidden
WRONG = VERMILION  # a leak, an error
WASTE = PINK  # computed and thrown away
ON = {SEEN: "#FFFFFF", WASTE: "#111111"}  # text on a bar of this colour, in light and in dark
FORWARD, BACKWARD = SKY, GREEN  # through the stages of a pipeline, and back

CYCLE = (BLUE, ORANGE, GREEN, VERMILION, PINK, SKY)

# What words in a colour are drawn in, darker where it is too pale to be read on white paper.
_INKS = {ORANGE: "#946700", GREEN: "#007F5C", VERMILION: "#B74F00", PINK: "#A0527F", SKY: "#2E79A6"}

_TEMPLATE = go.layout.Template(
    layout=dict(
        font=dict(family="system-ui, -apple-system, Segoe UI, sans-serif", size=14, color="#222"),
        title=dict(x=0, xref="paper", xanchor="left", font_size=18),
        colorway=CYCLE,
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin=dict(l=70, r=30, t=70, b=60),
        xaxis=dict(gridcolor="#DDD", zeroline=False, automargin=True),
        yaxis=dict(gridcolor="#DDD", zeroline=False, automargin=True),
        hoverlabel=dict(font_size=13),
        meta=dict(inks={ink: color for color, ink in _INKS.items()}),  # a deck may be dark
    )
)

# Two shades for masks and their kin: hidden and visible.
HIDDEN_VISIBLE = [[0.0, GONE], [1.0, SEEN]]


def ink(color: str) -> str:
    """The colour for words that belong to a curve of this colour: they are thin, and must be read.

    >>> ink(BLUE), ink(SKY)
    ('#0072B2', '#2E79A6')
    """
    return _INKS.get(color, color)


def figure(title: str, height: int = 420, **layout) -> go.Figure:
    """An empty figure in the course's look.

    Args:
        title: what the figure shows, as a claim.
        height: in pixels.
        layout: any of Plotly's layout settings.
    """
    empty = go.Figure()
    empty.update_layout(template=_TEMPLATE, title_text=title, height=height, **layout)
    return empty


def slider(steps: list[dict], prefix: str, active: int = 0, left: int = 0, **place) -> dict:
    """A slider in the course's look.

    Args:
        steps: Plotly slider steps.
        prefix: words before the current value.
        active: index of the step shown first.
        left: pixels kept free beside it, whatever the figure's width.
        place: `x`, `y`, `len` and the like.
    """
    return dict(
        steps=steps,
        active=active,
        currentvalue=dict(prefix=prefix, font_size=14),
        pad=dict(t=64, l=left),
        bgcolor="#9AA5B1",  # of the handle, which is nearly white by default
        bordercolor="#5B6770",
        **place,
    )


_BUTTONS = 115  # pixels that play and pause take


def frame_steps(names: list[str]) -> list[dict]:
    """Slider steps that show the frame of each name at once."""
    options = dict(mode="immediate", frame=dict(duration=0, redraw=True), transition_duration=0)
    return [dict(method="animate", label=name, args=[[name], options]) for name in names]


def player(
    shown: go.Figure,
    names: list[str],
    prefix: str,
    milliseconds: int = 900,
    below: float = 0.0,
    start: int = 0,
) -> None:
    """Give a figure with frames a slider to step by and buttons to play and to pause.

    In a deck, P plays and pauses, the comma and the full stop step.

    Args:
        shown: the figure; its frames bear `names`, and its traces are those of frame `start`.
        names: of the frames, in order: each is shown beside the slider as its value.
        prefix: words before that value.
        milliseconds: a frame is shown while playing.
        below: how far under the plot the slider stands, as a part of the plot's height.
        start: the frame shown first.

    Raises:
        ValueError: if the names aren't those of the frames.
    """
    frames = [frame.name for frame in shown.frames]
    if frames != names:
        raise ValueError(f"the slider's names must be the frames', in order: {frames}, {names}")
    play = dict(
        frame=dict(duration=milliseconds, redraw=True),
        transition_duration=0,
        fromcurrent=True,
        mode="immediate",
    )
    pause = dict(frame=dict(duration=0, redraw=False), transition_duration=0, mode="immediate")
    buttons = [
        dict(label="▶", method="animate", args=[None, play]),
        dict(label="❚❚", method="animate", args=[[None], pause]),
    ]
    place = dict(x=0.0, y=-below, xanchor="left", yanchor="top", pad=dict(t=70, r=8))
    shown.update_layout(
        updatemenus=[dict(type="buttons", direction="left", buttons=buttons, **place)],
        sliders=[slider(frame_steps(names), prefix, start, left=_BUTTONS, y=-below)],
    )
    shown.update_layout(margin_b=max(shown.layout.margin.b or 0, 150))


def square_axes(shown: go.Figure, seq: int, rows: str = "query", columns: str = "key") -> None:
    """Axes for a (query, key) picture: square cells, query 0 at the top."""
    shown.update_xaxes(title_text=f"{columns} position", showgrid=False, constrain="domain")
    shown.update_yaxes(
        title_text=f"{rows} position",
        showgrid=False,
        scaleanchor="x",
        constrain="domain",
        range=[seq - 0.5, -0.5],
    )
