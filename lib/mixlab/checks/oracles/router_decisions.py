"""What the exercises of chapter 08 must return, in NumPy and in float64."""

from mixlab.checks.oracles import (
    router_decisions_bits,
    router_decisions_counts,
    router_decisions_neighbours,
    router_decisions_removal,
)

EXERCISES = {
    **router_decisions_neighbours.EXERCISES,
    **router_decisions_counts.EXERCISES,
    **router_decisions_bits.EXERCISES,
    **router_decisions_removal.EXERCISES,
}
