"""What the exercises of chapter 19 must return, in NumPy and in float64."""

from mixlab.checks.oracles import mamba_block, mamba_memory, mamba_padding, mamba_scan

EXERCISES = {
    **mamba_scan.EXERCISES,
    **mamba_block.EXERCISES,
    **mamba_memory.EXERCISES,
    **mamba_padding.EXERCISES,
}
