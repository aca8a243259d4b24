"""`serve`: a page that is there until Ctrl-C."""

import re
import signal
import subprocess
import sys

import pytest

from verif import ROOT
from verif.taylorvit.web.serving import ask

from .running import fails


@pytest.mark.slow
def test_digits_in_simulated_hardware():
    """As a user starts it, and ends it."""
    command = [sys.executable, "-m", "taylorvit", "serve", "--sim", "--model", "digits", "--http-port", "0",
               "--clock", "25"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            port = re.fullmatch(r"digits on simulated Verilog of vit-tiny-4x4: http://127\.0\.0\.1:(\d+)/\n", line)
            assert port, (line, server.stderr.read() if not line else "")
            assert ask(int(port[1]), "GET", "/api/model")[2]["clock_mhz"] == 25
            status, _headers, answer = ask(int(port[1]), "POST", "/api/examples/0")
            assert (status, answer["different"]) == (200, 0) and 1000 < answer["cycles"] < 1_000_000
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
            assert (server.stdout.read(), server.stderr.read()) == ("ended\n", "")
        finally:
            server.kill()


def test_wrong_request(capsys, tmp_path):
    assert "one of the arguments --sim" in _refused(capsys, "serve")
    assert "model must be one of digits, mnist5k, or a file, not 'absent'" in fails(
        capsys, "serve", "--sim", "--http-port", "0", "--model", "absent"
    )
    assert "model.json" in fails(capsys, "serve", "--sim", "--http-port", "0", "--model", tmp_path)
    assert "cannot listen on 203.0.113.1, port 0: " in fails(
        capsys, "serve", "--sim", "--host", "203.0.113.1", "--http-port", "0"
    )
    assert "serve must have a configuration of accelerator 'network'" in fails(
        capsys, "serve", "--sim", "--http-port", "0", "--preset", "tiny-4x4"
    )


def _refused(capsys, *words):
    from taylorvit.__main__ import main

    assert main(list(words)) == 2
    return capsys.readouterr().err
