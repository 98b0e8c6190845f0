"""How well a colour can be read on white paper: contrast as WCAG 2 defines it."""

from plotly.colors import hex_to_rgb


def contrast(color: str) -> float:
    """Of a colour like #0072B2 with white.

    >>> contrast("#000000"), contrast("#FFFFFF")
    (21.0, 1.0)
    """
    levels = [level / 255 for level in hex_to_rgb(color)]
    r, g, b = (
        level / 12.92 if level <= 0.03928 else ((level + 0.055) / 1.055) ** 2.4 for level in levels
    )
    return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)


def pale_words(figure: dict) -> list[tuple[str, str]]:
    """Words in a colour that white paper swallows, each with it, of a Plotly figure's JSON.

    Black, white and grey stand on cells and bars too, and aren't looked at.
    """
    named = [(note["text"], note.get("font")) for note in figure["layout"].get("annotations", [])]
    named += [(str(trace.get("text")), trace.get("textfont")) for trace in figure["data"]]
    colors = [(words, (font or {}).get("color")) for words, font in named]
    return [
        (words, color)
        for words, color in colors
        if isinstance(color, str)
        and color.startswith("#")
        and len(color) == 7
        and max(levels := hex_to_rgb(color)) - min(levels) >= 24
        and contrast(color) < 4.5
    ]
