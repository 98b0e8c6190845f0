"""What the exercises of chapter 12 share."""

OURS = (
    "mixlab.ssm.ode",
    "mixlab.ssm.scan",
    "mixlab.chapters.sequence_models.traces",
)
