"""What the exercises of chapter 07 must return, in NumPy and in float64."""

from mixlab.checks.oracles import (
    sparse_moe_counts,
    sparse_moe_experts,
    sparse_moe_router,
)

EXERCISES = {
    **sparse_moe_router.EXERCISES,
    **sparse_moe_experts.EXERCISES,
    **sparse_moe_counts.EXERCISES,
}
