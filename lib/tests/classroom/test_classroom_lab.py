"""The lab starts on the first lesson, makes a student's copies, and leaves no trace elsewhere."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from classroom.lab import lab_arguments, lab_environment


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url: str, method: str = "GET"):
    request = urllib.request.Request(url, method=method, headers={"Authorization": "token t"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


@pytest.mark.slow
def test_the_lab_serves_the_lesson_and_writes_only_into_build_and_work(course, tmp_path):
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    before = {path for path in course.rglob("*") if "build" not in path.parts}
    log = (tmp_path / "log").open("w+")
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=t"]
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom", "--root", str(course), "lab", *options],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(home), "IPYTHONDIR": str(home / "never")},
        stdout=log,
        stderr=log,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                ask(f"{base}/api/status")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, "JupyterLab ended: " + (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
        lesson = json.loads(ask(f"{base}/api/contents/course/02_windows.ipynb"))
        assert lesson["content"]["cells"][0]["source"].startswith("# Windows")
        assert b"jupyter-config-data" in ask(base)
        kernel = json.loads(ask(f"{base}/api/kernels", "POST"))
        assert kernel["name"] == "python3"
        ask(f"{base}/api/kernels/{kernel['id']}", "DELETE")
        ask(f"{base}/api/shutdown", "POST")
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        log.close()
    assert "lab/tree/course/02_windows.ipynb" in (tmp_path / "log").read_text()
    mine = course / "work" / "02_windows.ipynb"
    after = {path for path in course.rglob("*") if "build" not in path.parts}
    assert after - before == {mine.parent, mine}
    assert list(home.iterdir()) == []


def test_everything_that_jupyter_writes_lies_in_build(tmp_path):
    environment = lab_environment(tmp_path)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        assert environment[name].startswith(str(tmp_path / "build" / "jupyter"))


def test_the_first_lesson_opens_and_options_pass_through(course):
    arguments = lab_arguments(course, ["--no-browser"])
    assert "--LabApp.default_url=/lab/tree/course/02_windows.ipynb" in arguments
    assert arguments[-1] == "--no-browser"
    for path in (course / "course").glob("*.ipynb"):
        path.unlink()
    with pytest.raises(ValueError, match="Run: make notebooks"):
        lab_arguments(course, [])
