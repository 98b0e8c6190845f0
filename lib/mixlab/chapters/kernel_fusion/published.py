"""What is published of GPUs: levels of memory, and roofs.

Sources: Dao et al., "FlashAttention" (2022), figure 1, for the A100's levels; NVIDIA's data sheets
of the A100 (40 GB, SXM), the H100 (SXM) and the H200 for the rest, in float32, outside of the
matrix units.
"""

# Name to levels, the smallest first: bytes that it holds, bytes a second, words.
LEVELS = {
    "A100": (
        (20e6, 19e12, "<b>A100</b>: 20 MB on the chip, 19 TB/s"),
        (40e9, 1.5e12, "40 GB of memory, 1.5 TB/s"),
    )
}
# Name to bytes a second and float32 operations a second.
ROOFS = {"A100": (1.555e12, 19.5e12), "H100": (3.35e12, 67e12), "H200": (4.8e12, 67e12)}
