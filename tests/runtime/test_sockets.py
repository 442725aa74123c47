"""The control socket: private, found, never stolen from a gateway that lives, taken over from one that died."""

import os
import socket
import stat

import pytest

from gateway.runtime import sockets


def test_a_socket_is_its_owners_only_and_gone_after_release(tmp_path):
    path = tmp_path / "node-a.sock"
    held = sockets.claim(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sockets.alive(path)
    held.release()
    assert not path.exists()


def test_a_living_gateway_keeps_its_socket(tmp_path):
    held = sockets.claim(tmp_path / "node-a.sock")
    with pytest.raises(sockets.SocketError, match="another gateway answers there"):
        sockets.claim(tmp_path / "node-a.sock")
    assert sockets.alive(held.path)
    held.release()


def test_a_dead_gateways_socket_is_replaced(tmp_path):
    path = tmp_path / "node-a.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    assert not sockets.alive(path)
    sockets.claim(path).release()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "node-a.sock"
    path.write_text("mine")
    with pytest.raises(sockets.SocketError, match="no socket"):
        sockets.claim(path)
    assert path.read_text() == "mine"


def test_release_does_not_take_away_a_successors_socket(tmp_path):
    path = tmp_path / "node-a.sock"
    old = sockets.claim(path)
    path.unlink()
    new = sockets.claim(path)
    old.release()
    assert path.exists()
    new.release()


@pytest.mark.parametrize(("name", "says"), [("x" * 120, "at most 107 bytes"), ("none/such.sock", "No such file")])
def test_a_path_that_cannot_be_says_why(tmp_path, name, says):
    with pytest.raises(sockets.SocketError, match=says):
        sockets.claim(tmp_path / name)


def test_the_default_lies_where_systemd_or_the_session_says(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "unit"))
    path = sockets.default_path("node-a")
    assert path == tmp_path / "unit" / "node-a.sock"
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    held = sockets.claim(path)
    assert path in sockets.live()
    held.release()
    assert path not in sockets.live()
