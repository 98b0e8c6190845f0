"""What the exercises of chapter 11 share."""

SINKS = ("mixlab.transformer.sink_cache", "mixlab.transformer.window")
