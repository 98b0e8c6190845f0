"""What the exercises of chapter 04 share."""

OURS = (
    "mixlab.transformer.rolling_layer",
    "mixlab.transformer.rolling_cache",
    "mixlab.transformer.growing_cache",
    "mixlab.traces.rolling_cache",
)
ATTENTION = (
    "mixlab.transformer.attention",
    "mixlab.transformer.packing",
    "mixlab.transformer.packed_masks",
    "mixlab.transformer.window",
)
