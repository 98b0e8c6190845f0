"""What the exercises of chapter 05 share."""

OURS = (
    "mixlab.transformer.rolling_layer",
    "mixlab.transformer.rolling_cache",
    "mixlab.transformer.packing",
    "mixlab.traces.rolling_cache",
)
