"""A running gateway and the commands that ask it; its beginnings and ends."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from .conftest import Running


def test_the_reading_commands_find_the_only_gateway(gateway, running):
    stats = json.loads(gateway("stats", "-o", "json").stdout)
    assert stats["name"] == "cli-test" and stats["counters"]["accept"] == 0
    assert "default-ipv4-ippool" in gateway("pools").stdout
    assert gateway("flows", "-o", "json").stdout == ""
    assert gateway("flows").stdout.split()[:3] == ["ID", "PROTOCOL", "STATE"]
    done = gateway("flows", "end", "1-00000000")
    assert done.returncode == 2 and "no flow 1-00000000" in done.stderr
    assert gateway("flows", "--source", "nonsense").returncode == 2
    for words in (("stats",), ("stats", "--all"), ("pools",), ("flows",)):
        done = gateway(*words)
        assert done.returncode == 0 and "\x1b" not in done.stdout


def test_explain_asks_the_gateway(gateway, running):
    done = gateway("explain", "--src", "192.168.1.2", "--dst", "203.0.113.7", "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["translated"]
    assert gateway("explain", "--src", "172.31.1.2", "--dst", "203.0.113.7").returncode == 1


def test_with_two_gateways_one_has_to_be_chosen(gateway, running, file, environment, tmp_path):
    second = Running(file, environment, tmp_path, "--socket", str(tmp_path / "sockets" / "second.sock"))
    try:
        done = gateway("stats")
        assert done.returncode == 3 and "cli-test.sock" in done.stderr and "second.sock" in done.stderr
        chosen = str(tmp_path / "sockets" / "second.sock")
        assert gateway("stats", "--socket", chosen).returncode == 0
        assert gateway("stats", GATEWAY_SOCKET=chosen).returncode == 0
    finally:
        second.end()


def test_a_second_gateway_of_the_name_does_not_start(gateway, running, file):
    done = gateway("run", "-f", file)
    assert done.returncode == 3 and "another gateway answers there" in done.stderr
    assert gateway("stats").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_leaves_no_socket(running, tmp_path, number):
    assert list((tmp_path / "sockets").glob("*.sock"))
    assert running.end(number) == 0
    assert list((tmp_path / "sockets").glob("*.sock")) == []
    assert running.log.splitlines()[-1].endswith("ended name=cli-test")


def test_after_a_kill_it_starts_again(running, file, environment, tmp_path):
    running.end(signal.SIGKILL)
    again = Running(file, environment, tmp_path)
    assert again.end() == 0


def test_sighup_and_a_changed_file_reload_and_a_wrong_one_does_not(running, gateway, file):
    running.process.send_signal(signal.SIGHUP)
    running.until("reloaded why=SIGHUP generation=2")
    text = Path(file).read_text()
    Path(file).write_text(text.replace("natOutgoing: true", "natOutgoin: true"))
    running.until("reload_refused")
    assert "did you mean natOutgoing" in running.log
    assert json.loads(gateway("explain", "--src", "192.168.1.2", "--dst", "1.1.1.1", "-o", "json").stdout)["translated"]
    assert "last reload was refused" in gateway("stats").stderr
    Path(file).write_text(text.replace("natOutgoing: true", "natOutgoing: false"))
    running.until("generation=3")
    answer = json.loads(gateway("explain", "--src", "192.168.1.2", "--dst", "1.1.1.1", "-o", "json").stdout)
    assert answer["verdict"] == "accept" and not answer["translated"]


def test_bad_resources_do_not_start(gateway, tmp_path, file):
    path = tmp_path / "wrong.yaml"
    path.write_text(Path(file).read_text().replace("memory", "memry"))
    done = gateway("run", "-f", str(path))
    assert done.returncode == 2 and done.stderr.count("memry") == 2


def test_a_folder_that_is_missing_for_the_socket_is_status_3(gateway, file):
    done = gateway("run", "-f", file, "--socket", "none/such.sock")
    assert done.returncode == 3 and "such.sock" in done.stderr


def test_a_missing_interface_is_status_3(gateway, tmp_path, file):
    path = tmp_path / "gateway.yaml"
    text = path.read_text()
    path.write_text(text.replace("outside: {driver: memory}", "outside: {driver: packet, interface: nosuch0}"))
    done = gateway("run", "-f", str(path))
    assert done.returncode == 3 and "nosuch0" in done.stderr and "Traceback" not in done.stderr


def test_output_into_a_pipe_that_closes_early_is_quiet(running, environment):
    command = "python -m gateway flows -o json | head -c0; exit ${PIPESTATUS[0]}".replace("python", sys.executable)
    assert os.spawnvpe(os.P_WAIT, "bash", ["bash", "-c", command], environment) == 0


def test_a_socket_that_nobody_serves_is_not_waited_for(gateway, tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left.sock"))
    left.close()
    began = time.monotonic()
    assert gateway("stats", "--socket", str(tmp_path / "left.sock")).returncode == 3
    assert time.monotonic() - began < 5
