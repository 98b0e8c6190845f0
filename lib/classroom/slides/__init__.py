"""Slides from lessons: one HTML file a chapter, which works offline and from a USB stick.

`render` turns an executed notebook into a deck, `build_all` does so for every chapter, and
`check_deck` opens a deck in a browser and lists what a class would stumble over.
"""

from classroom.browser import open_browser
from classroom.slides.decks import build_all, main
from classroom.slides.look import WALKS, Problem, check_deck
from classroom.slides.render import SlideError, render

__all__ = [
    "WALKS",
    "Problem",
    "SlideError",
    "build_all",
    "check_deck",
    "main",
    "open_browser",
    "render",
]
