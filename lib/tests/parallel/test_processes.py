"""Ranks run functions, count what they send, and end in bounded time whatever happens to them."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from mixlab.parallel.processes import RankError, Ranks


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""

    def runs(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    return [pid for pid in pids if runs(pid)]


@pytest.fixture(scope="module")
def four():
    with Ranks(4) as ranks:
        yield ranks


def test_results_come_rank_by_rank_and_functions_may_be_lambdas(four):
    assert four.run(lambda communicator, x: communicator.rank * x, 10) == [0, 10, 20, 30]
    assert four.run(lambda communicator: communicator.world_size) == [4, 4, 4, 4]
    assert four.run(lambda communicator: torch.get_num_threads()) == [1] * 4


def test_a_rank_keeps_what_it_is_told_to_keep(four):
    def keep(communicator):
        communicator.kept["number"] = communicator.rank**2

    four.run(keep)
    assert four.run(lambda communicator: communicator.kept["number"]) == [0, 1, 4, 9]


def test_ranks_draw_from_seeds_of_their_own(four):
    assert len(set(four.run(lambda communicator: torch.initial_seed()))) == 4


@pytest.mark.parametrize("numel", [1, 3, 4, 5, 8, 1000])
def test_a_ring_all_reduce_sends_what_the_formula_says(four, numel):
    def total(communicator, x):
        return communicator.all_reduce(x + communicator.rank)

    x = torch.randn(numel, dtype=torch.float64)
    sums = four.run(total, x)
    torch.testing.assert_close(sums[0], 4 * x + 6)
    assert all(torch.equal(other, sums[0]) for other in sums)  # to the last bit
    assert sum(sent["all_reduce"].bytes for sent in four.sent) == 2 * 3 * 8 * numel
    if numel % 4 == 0:
        assert [sent["all_reduce"].bytes for sent in four.sent] == [2 * 3 * 8 * numel // 4] * 4


def test_collectives_equal_torchs_own(four):
    def both(communicator, x):
        from torch import distributed

        mine, theirs = x * (communicator.rank + 1), x * (communicator.rank + 1)
        gathered = [torch.empty_like(x) for _ in range(4)]
        distributed.all_gather(gathered, mine)
        distributed.all_reduce(theirs)
        pairs = [*zip(communicator.all_gather(mine), gathered, strict=True)]
        pairs.append((communicator.all_reduce(mine), theirs))
        mine = x * (communicator.rank + 1)
        got = communicator.broadcast(mine, root=2)
        distributed.broadcast(mine, src=2)
        return [*pairs, (got, mine)]

    for pairs in four.run(both, torch.randn(3, 5)):
        for ours, theirs in pairs:
            torch.testing.assert_close(ours, theirs)
    assert four.sent[2]["broadcast"].bytes == 3 * 60
    assert "broadcast" not in four.sent[0]
    assert [sent["all_gather"].bytes for sent in four.sent] == [3 * 60] * 4


def test_all_to_all_carries_parts_of_different_lengths(four):
    def parts(communicator):
        mine = communicator.rank
        return communicator.all_to_all([torch.full((mine, 2), 10.0 * mine + to) for to in range(4)])

    for rank, received in enumerate(four.run(parts)):
        for source, part in enumerate(received):
            assert torch.equal(part, torch.full((source, 2), 10.0 * source + rank))
    # Three counts of 8 bytes, and three parts of 3 rows of 8 bytes; no rows are no message.
    assert four.sent[3]["all_to_all"].bytes == 3 * 8 + 3 * 3 * 8
    assert (four.sent[3]["all_to_all"].messages, four.sent[0]["all_to_all"].messages) == (6, 3)


def test_sending_without_waiting_lets_two_ranks_send_first(four):
    def meet(communicator):
        other = communicator.rank ^ 1
        wait = communicator.isend(torch.tensor([float(communicator.rank)]), other)
        got = communicator.recv((1,), other)
        wait()
        communicator.barrier()
        return got.item()

    assert four.run(meet) == [1.0, 0.0, 3.0, 2.0]
    assert [sent["isend"].messages for sent in four.sent] == [1] * 4


def failing(function, timeout=20.0, world_size=3) -> tuple[RankError, float]:
    """The error of a run that must fail, and its seconds; no rank may be left."""
    ranks = Ranks(world_size, timeout)
    pids = [process.pid for process in ranks.processes]
    start = time.monotonic()
    with pytest.raises(RankError) as caught:
        ranks.run(function)
    seconds = time.monotonic() - start
    assert not alive(pids)
    with pytest.raises(ValueError, match="have ended"):
        ranks.run(function)
    return caught.value, seconds


def test_a_rank_that_raises_is_named_with_its_traceback_and_the_others_places():
    def bad(communicator):
        if communicator.rank == 1:
            raise KeyError("no such expert")
        if communicator.rank == 0:
            communicator.all_reduce(torch.ones(4))

    error, seconds = failing(bad)
    assert error.rank == 1
    assert error.standing[1] == "raised KeyError: 'no such expert'"
    assert error.standing[0].startswith("waited in all_reduce: exchange to rank 1")
    assert error.standing[2] == "had finished"
    assert 'raise KeyError("no such expert")' in str(error)  # the line itself
    assert seconds < 10


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os._exit(3), "exited with 3"),
        (lambda: sys.exit(3), "raised SystemExit: 3"),
    ],
)
def test_a_rank_that_ends_is_the_cause_though_others_fail_first(end, words):
    def die(communicator):
        if communicator.rank == 2:
            end()
        communicator.recv((4,), 2)

    error, seconds = failing(die)
    assert (error.rank, error.standing[2]) == (2, words)
    assert "recv from rank 2" in error.standing[0]
    assert seconds < 10


def test_send_meets_send_and_ends():
    def meet(communicator):
        communicator.send(torch.ones(10), 1 - communicator.rank)
        communicator.recv((10,), 1 - communicator.rank)

    error, seconds = failing(meet, timeout=1.0, world_size=2)
    assert error.standing == {0: "waited in send to rank 1", 1: "waited in send to rank 0"}
    assert 1.0 <= seconds < 10


def test_an_endless_loop_ends():
    def loop(communicator):
        while communicator.rank == 1:
            pass

    error, seconds = failing(loop, timeout=1.0, world_size=2)
    assert (error.rank, error.standing) == (1, {0: "had finished", 1: "was computing"})
    assert seconds < 10


def test_a_result_that_cannot_travel_is_an_error_of_its_rank():
    error, _ = failing(lambda communicator: (x for x in ()) if communicator.rank else 0)
    assert error.rank == 1
    assert "pickle" in str(error)


def test_an_interrupt_of_the_caller_ends_the_ranks():
    ranks = Ranks(2)
    pids = [process.pid for process in ranks.processes]
    main = threading.main_thread().ident
    threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ranks.run(lambda communicator: time.sleep(20))
    assert not alive(pids)


SCRIPT = """
from mixlab.parallel.processes import Ranks

if __name__ == "__main__":
    ranks = Ranks(2)
    print("started", flush=True)
    ranks.run(lambda communicator: communicator.recv((1,), 1 - communicator.rank))
"""


def test_ranks_end_when_their_maker_is_killed(tmp_path):
    script = tmp_path / "maker.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout.readline() == "started\n"
        maker.kill()
        # The ranks hold their end of this pipe as long as they live.
        assert maker.communicate(timeout=20) == ("", None)


def test_ranks_are_at_least_one():
    with pytest.raises(ValueError, match="world_size of at least 1"):
        Ranks(0)
    with pytest.raises(ValueError, match="timeout above 0"):
        Ranks(1, timeout=0.0)
