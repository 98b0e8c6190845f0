"""What the exercises of chapter 17 must return, each by another way than the one it asks for."""

from mixlab.checks.oracles import (
    scan_costs,
    scan_gradients,
    scan_letters,
    scan_minutes,
    scan_proof,
)

EXERCISES = {
    **scan_minutes.EXERCISES,
    **scan_letters.EXERCISES,
    **scan_proof.EXERCISES,
    **scan_costs.EXERCISES,
    **scan_gradients.EXERCISES,
}
