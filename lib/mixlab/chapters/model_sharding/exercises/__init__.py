"""What the exercises of chapter 09 share."""

OURS = (
    "mixlab.parallel.sharding",
    "mixlab.parallel.expert_sharding",
    "mixlab.parallel.plan",
    "mixlab.parallel.communicator",
)
