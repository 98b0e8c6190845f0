"""Words that the masks of 06.2, 06.3 and 06.4 share."""

ONE_MORE = (
    "your window has W + 1 keys. It counts the token itself: distances 0 to W - 1 are visible."
)
INVERTED = "your mask is True where the key is hidden. Here True means visible."


def seen_name(value) -> str:
    """A mask's value in words, for a message."""
    return "visible (True)" if value else "hidden (False)"
