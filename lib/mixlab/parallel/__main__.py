"""A schedule, simulated and run, under torchrun.

    torchrun --standalone --nproc-per-node 4 -m mixlab.parallel one_f_one_b 8

trains a tiny model of a layer a stage for one step of eight microbatches, and prints, on rank 0,
the time that the run took beside the simulator's, both in steps, and how far its gradients are from
those of the whole batch on one device. Source of the schedules:
`schedules.gpipe` and `schedules.one_f_one_b` tell.
"""

import argparse

import torch
from torch import distributed as dist

from mixlab.parallel.communicator import Communicator
from mixlab.parallel.pipeline import Training, run_stage
from mixlab.parallel.schedules import gpipe, one_f_one_b
from mixlab.parallel.simulator import simulate
from mixlab.parallel.stage import Stage
from mixlab.parallel.timeline import Timeline
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss

STEP = 0.04  # seconds


def main() -> None:
    """Run one rank's part; rank 0 prints what came of it."""
    parser = argparse.ArgumentParser(prog="torchrun -m mixlab.parallel", description=__doc__)
    parser.add_argument("schedule", choices=["gpipe", "one_f_one_b"])
    parser.add_argument("microbatches", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    communicator = Communicator(dist.get_rank(), dist.get_world_size(), lambda where: None)
    make = gpipe if given.schedule == "gpipe" else one_f_one_b
    schedule = make(communicator.world_size, given.microbatches)
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(n_layers=communicator.world_size))
    tokens = torch.randint(256, (given.microbatches, 16))
    expected = torch.autograd.grad(next_token_loss(model(tokens), tokens), list(model.parameters()))
    stage = Stage(model, communicator.rank, communicator.world_size)
    for _ in range(2):  # what a process does for the first time takes longer
        model.zero_grad()
        spans = run_stage(communicator, schedule, Training(stage, tokens, given.microbatches), STEP)
    pairs = zip(model.parameters(), expected, strict=True)
    error = max(float((p.grad - whole).abs().max()) for p, whole in pairs if p.grad is not None)
    results = [None] * communicator.world_size
    dist.all_gather_object(results, (spans, error))
    if communicator.rank == 0:
        measured = Timeline([spans for spans, _ in results]).length / STEP
        print(f"simulated {simulate(schedule).length} steps, measured {measured:.1f}")
        print(f"gradients: at most {max(error for _, error in results):.0e} from the whole batch's")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
