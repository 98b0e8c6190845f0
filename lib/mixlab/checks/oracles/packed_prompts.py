"""What the exercises of chapter 06 must return, in NumPy."""

from mixlab.checks.oracles import packed_blocks, packed_layers, packed_lengths, packed_rings

EXERCISES = {
    **packed_lengths.EXERCISES,
    **packed_blocks.EXERCISES,
    **packed_rings.EXERCISES,
    **packed_layers.EXERCISES,
}
