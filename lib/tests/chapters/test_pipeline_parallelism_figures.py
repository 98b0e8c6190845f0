"""What chapter 10 draws: bars of timelines, what is kept, what a token weighs."""

from mixlab.chapters.kit import theme
from mixlab.chapters.pipeline_parallelism import figures
from mixlab.chapters.pipeline_parallelism.figures import Chart
from mixlab.parallel.schedules import forward_only, gpipe, kept_after
from mixlab.parallel.simulator import simulate
from mixlab.parallel.timeline import Span, Timeline


def bars(shown) -> list:
    """The bars of each chart, without the veil behind them."""
    return [trace for trace in shown.data if trace.type == "bar" and trace.text is not None]


def named(shown) -> list[str]:
    return [trace.name for trace in shown.data if trace.type == "scatter"]


def test_a_bar_stands_where_its_action_was_and_bears_its_name():
    timeline = simulate(gpipe(2, 2), forward=1, backward=2)
    shown = figures.gantt([Chart("one", timeline)], "A claim")
    (drawn,) = bars(shown)
    spans = [span for stage in timeline.stages for span in stage]
    assert list(drawn.base) == [span.start for span in spans]
    assert list(drawn.x) == [span.end - span.start for span in spans]
    assert list(drawn.y) == [f"stage {span.action.stage}" for span in spans]
    assert list(drawn.text) == [str(span.action) for span in spans]
    colors = {"F": theme.FORWARD, "B": theme.BACKWARD}
    assert list(drawn.marker.color) == [colors[span.action.kind] for span in spans]
    assert named(shown) == ["forward", "backward", "idle"]


def test_a_measured_chart_begins_at_0_whatever_its_clock_said():
    first, second = forward_only(1, 2)[0]
    timeline = Timeline([[Span(first, 71.5, 72.0), Span(second, 72.0, 73.5)]])
    shown = figures.gantt([Chart("measured", timeline)], "A claim")
    assert list(bars(shown)[0].base) == [0, 0.5]
    assert named(shown) == ["forward", "idle"]
    veil = next(trace for trace in shown.data if trace.type == "bar" and trace.text is None)
    assert list(veil.x) == [timeline.length] == [2.0]


def test_requests_are_letters_and_their_tokens_numbers():
    chart = figures.requests(simulate(forward_only(1, 4), n_requests=2), 2)
    drawn = bars(figures.gantt([chart], "A claim", meanings=figures.REQUESTS))[0]
    assert list(drawn.text) == ["A0", "B0", "A1", "B1"]
    assert drawn.marker.color[0] == drawn.marker.color[2] != drawn.marker.color[1]


def test_what_is_kept_is_named_at_its_peak():
    counts = kept_after(gpipe(2, 3)[0])
    shown = figures.kept({"GPipe": counts}, "A claim")
    assert list(shown.data[0].y) == [*counts, 0]
    assert (shown.layout.annotations[0].x, shown.layout.annotations[0].y) == (2, 3)


def test_a_weight_is_written_over_its_bar():
    shown = figures.weights([1, 4], {"a": [0.5, 0.125], "b": [0.2, 0.2]}, "A claim", "weight")
    assert [list(trace.text) for trace in shown.data] == [["50.0%", "12.5%"], ["20.0%", "20.0%"]]
    assert list(shown.data[0].x) == ["1 token", "4 tokens"]
