"""What the exercises of chapter 04 must return."""

from mixlab.checks.oracles import (
    rolling_chunk,
    rolling_memory,
    rolling_proof,
    rolling_ring,
)

EXERCISES = {
    **rolling_ring.EXERCISES,
    **rolling_memory.EXERCISES,
    **rolling_chunk.EXERCISES,
    **rolling_proof.EXERCISES,
}
