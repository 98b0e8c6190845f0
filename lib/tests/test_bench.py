"""The speed table: statistics, table, JSON and exit status; and every row agrees with its peers."""

import json
import time
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import discover as discover_module
from bench.__main__ import main
from bench.bench_decode import bytes_a_token
from bench.bench_prefill import n_operations
from bench.discover import discover
from bench.machine import Rates
from bench.measure import Against, Outcome, Spread, peak_bytes, run_row, seconds
from bench.report import HEAD, table, write_json
from bench.row import Contest, Peer, Row, Unavailable, largest_difference
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.window import window_mask


def sleep(duration):
    return lambda: time.sleep(duration)


def row(ours=0.06, theirs=(0.12,), target=1.5, difference=0.0, **changes):
    peers = [Peer("peer", sleep(t), setting=f"{t} s") for t in theirs]
    contest = Contest(sleep(ours), peers, check=lambda: difference, note="Sleeping.")
    return Row("sleep", "who sleeps less", {"peer": target}, lambda size: contest, **changes)


def test_ratio_is_peer_over_ours():
    outcome = run_row(row(), runs=3)
    (peer,) = outcome.against
    assert 1.5 < peer.ratio.median < 2.5
    assert peer.ratio.least <= peer.ratio.median <= peer.ratio.most
    assert peer.ratio.runs == outcome.ours.runs == 3
    assert peer.met
    assert outcome.met
    assert not run_row(row(target=3.0), runs=3).met


def test_the_fastest_setting_of_a_peer_counts():
    outcome = run_row(row(theirs=(0.18, 0.06, 0.12)), runs=2)
    assert [peer.counts for peer in outcome.against] == [False, True, False]
    assert not outcome.met
    text = table([outcome])
    assert "0.06 s" in text
    assert "0.18 s" not in text


def test_ratios_are_taken_within_a_round():
    """A machine that slows down for everyone in some rounds must not move the ratio."""
    slow = [1.0, 5.0, 1.0, 5.0, 1.0]
    clock = {"ours": iter(slow), "theirs": iter(slow)}
    contest = Contest(
        ours=lambda: next(clock["ours"]),
        peers=[Peer("peer", lambda: next(clock["theirs"]), scale=2.0)],
        check=lambda: 0.0,
    )
    outcome = run_row(Row("r", "", {"peer": 2.0}, lambda size: contest, unit="bytes"))
    assert outcome.against[0].ratio.median == 2.0


def test_results_that_differ_are_never_timed():
    for difference in (1e-3, float("nan")):
        outcome = run_row(row(difference=difference))
        assert outcome.ours is None
        assert "differ" in outcome.problem
        assert not outcome.met


def test_a_missing_peer_or_an_error_is_told_in_the_table():
    def missing(size):
        raise Unavailable("mambapy is not installed")

    def broken(size):
        raise RuntimeError("no kernel")

    outcomes = [run_row(replace(row(), setup=setup)) for setup in (missing, broken)]
    assert not any(outcome.met for outcome in outcomes)
    text = table(outcomes)
    assert "mambapy is not installed" in text
    assert "RuntimeError: no kernel" in text


@pytest.mark.parametrize("clock", ["cpu", "thread"])
def test_clocks_of_work_ignore_waiting(clock):
    assert seconds(sleep(0.1), "cpu", clock="wall") > 0.09
    assert seconds(sleep(0.1), "cpu", clock=clock) < 0.05


def test_peak_counts_what_one_call_holds():
    peak = peak_bytes(lambda: torch.ones(2**26).sum(), "cpu")
    if peak is None:
        pytest.skip("this system keeps no high-water mark")
    assert 0.9 * 2**28 < peak < 1.5 * 2**28


def test_table_is_aligned_and_json_is_whole(tmp_path):
    outcome = Outcome(
        name="decode",
        work="writes",
        note="Eight tokens.",
        difference=2e-6,
        tolerance=1e-4,
        ours=Spread.of([0.01, 0.02, 0.03]),
        least=0.015,
        peak=3_000_000,
        against=[
            Against(
                name="peer",
                setting="sdpa",
                figure=Spread.of([0.04]),
                ratio=Spread.of([2.0]),
                target=1.5,
                counts=True,
                peak=6_000_000,
            )
        ],
    )
    lines = table([outcome]).splitlines()
    starts = [lines[0].index(column) for column in HEAD]
    assert [lines[2][start - 1] for start in starts[1:]] == [" "] * (len(HEAD) - 1)
    assert "20.0 ms" in lines[2]
    assert "2.00x" in lines[2]
    assert "3.00 MB / 6.00 MB" in lines[2]
    assert "15.0 ms: at 75% of it, 2.67x at most" in lines[2]
    assert "Results equal to 2.0e-06" in lines[-1]
    path = tmp_path / "deep" / "cpu.json"
    write_json(path, {"processor": "x"}, {"runs": 3}, [outcome])
    document = json.loads(path.read_text())
    assert document["machine"] == {"processor": "x"}
    (stored,) = document["rows"]
    assert stored["met"]
    assert stored["against"][0]["met"]
    assert stored["ours"] == {"median": 0.02, "least": 0.01, "most": 0.03, "runs": 3}


@pytest.fixture
def one_row(monkeypatch):
    """The command sees a single row that misses its target."""
    missed = row(target=100.0)

    def fake(device, patterns=None):
        return [missed]

    monkeypatch.setattr("bench.__main__.discover", fake)
    monkeypatch.setattr("bench.machine.matmul_rate", lambda: 1e9)
    monkeypatch.setattr("bench.machine.reading_rate", lambda: 1e9)
    return missed


def test_a_missed_target_fails_only_a_strict_run(one_row, tmp_path, capsys):
    output = ["--runs", "1", "--output", str(tmp_path / "cpu.json")]
    assert main(output) == 0
    assert main([*output, "--strict"]) == 1
    assert "100x" in capsys.readouterr().out
    machine = json.loads((tmp_path / "cpu.json").read_text())["machine"]
    assert machine["torch"] == torch.__version__
    assert machine["matrix rate (Gflop/s, float32)"] > 0


def test_the_machines_rates_bound_what_a_row_can_reach():
    contest = Contest(
        ours=lambda: time.sleep(0.02),
        peers=[Peer("peer", lambda: time.sleep(0.04))],
        check=lambda: 0.0,
        operations=1e6,
        bytes_read=3e6,
    )
    bounded = Row("r", "", {"peer": 1.5}, lambda size: contest)
    assert run_row(bounded, runs=1, rates=Rates(operations=1e9, bytes_read=1e9)).least == 3e-3
    assert run_row(bounded, runs=1, rates=Rates(operations=1e8, bytes_read=1e9)).least == 1e-2
    assert run_row(bounded, runs=1).least is None


def test_no_work_is_counted_that_a_pass_does_not_do():
    """The counts against the operators' own: products of a pre-fill, weights of a step."""
    config = TransformerConfig.tiny(n_layers=3, n_kv_heads=1, vocab_size=100, window=(7, None, 90))
    model = Transformer(config)
    with FlopCounterMode(display=False) as counter:  # counts all products but attention's on a CPU
        model.prefill(torch.arange(50)[None])
    whole = sum(window_mask(50, window=window).sum().item() for window in (7, None))
    attention = 4 * config.n_heads * config.head_dim * (whole + 50)  # last layer: the last token
    assert n_operations(config, 50) == counter.get_total_flops() + attention
    weights = 4 * sum(p.numel() for p in model.parameters()) - 4 * 100 * config.dim
    assert bytes_a_token(config, 10) == weights + 2 * (7 + 10 + 10) * config.head_dim * 4


def test_profile_names_the_operators(capsys, monkeypatch):
    contest = Contest(
        lambda: torch.ones(300, 300) @ torch.ones(300, 300),
        [Peer("peer", lambda: torch.ones(9).sum())],
        check=lambda: 0.0,
    )
    matmul = Row("product", "", {}, lambda size: contest)
    monkeypatch.setattr("bench.__main__.discover", lambda *_: [matmul])
    assert main(["--profile", "product"]) == 0
    assert "aten::mm" in capsys.readouterr().out


def test_without_cuda_the_gpu_rows_are_skipped_with_a_message(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--gpu"]) == 0
    assert "No CUDA device" in capsys.readouterr().out


def test_patterns_choose_rows_and_unknown_ones_are_told(capsys):
    assert [found.name for found in discover("cpu", ["decode_mem*"])] == ["decode_memory"]
    assert main(["--rows", "nothing", "--list"]) == 2
    assert "decode_memory" in capsys.readouterr().err
    assert main(["--rows", "decode_*", "--list"]) == 0
    assert "decode_mixtral:" in capsys.readouterr().out


def test_two_rows_must_not_share_a_name(monkeypatch):
    class Twice:
        ROWS = [row(), row()]  # noqa: RUF012

    monkeypatch.setattr(discover_module.importlib, "import_module", lambda name: Twice)
    with pytest.raises(ValueError, match="sleep"):
        discover("cpu")


def test_results_of_unequal_shape_are_an_error():
    with pytest.raises(ValueError, match="one shape"):
        largest_difference(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("found", discover("cpu"), ids=lambda found: found.name)
def test_every_row_computes_what_its_peers_compute(found):
    torch.manual_seed(0)
    try:
        contest = found.setup("tiny")
    except Unavailable as missing:
        pytest.skip(str(missing))
    assert contest.check() <= contest.tolerance
    assert set(found.targets) <= {peer.name for peer in contest.peers}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("found", discover("cuda"), ids=lambda found: found.name)
def test_every_gpu_row_computes_what_its_peers_compute(found):
    torch.manual_seed(0)
    try:
        contest = found.setup("tiny")
    except Unavailable as missing:
        pytest.skip(str(missing))
    assert contest.check() <= contest.tolerance


def test_the_check_of_a_row_notices_other_weights():
    """The comparison is no formality: a changed weight shows."""
    from bench.bench_prefill import prefill_contest
    from bench.models import MIXTRAL, pair, random_tokens

    ours, theirs = pair(MIXTRAL, "tiny")
    tokens = random_tokens(20, theirs.config.vocab_size)
    contest = prefill_contest(ours, theirs, tokens)
    assert contest.check() <= contest.tolerance
    ours.layers[0].attention.wo.weight[0, 0] += 0.5
    assert contest.check() > contest.tolerance
