"""What the exercises of chapter 10 share."""

OURS = ("mixlab.parallel.schedules", "mixlab.parallel.pipeline")
