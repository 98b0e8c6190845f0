"""What exists because of a chapter: its figures, its traces, its exercises."""
