"""A server that tells whoever asks which address it saw: TCP (HTTP, or line by line) and UDP, both families."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

from gateway.testing.namespaces import Namespace

PORT = 80
FAMILIES = (socket.AF_INET, socket.AF_INET6)


def seen(peer: tuple[object, ...]) -> bytes:
    address, port = str(peer[0]), peer[1]
    return f"you are {f'[{address}]' if ':' in address else address}:{port}\n".encode()


class Server:
    """Answers on port 80 of a namespace until closed. One thread, all sockets in one selector."""

    def __init__(self, namespace: Namespace, port: int = PORT) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        self._selector.register(waker, selectors.EVENT_READ, None)
        with namespace.enter():
            for family in FAMILIES:
                self._listen(family, port)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._wake.close()
        self._thread.join()

    def _listen(self, family: socket.AddressFamily, port: int) -> None:
        for kind, answer in ((socket.SOCK_STREAM, self._accept), (socket.SOCK_DGRAM, self._answer_datagram)):
            listener = socket.socket(family, kind)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", port))
            if kind == socket.SOCK_STREAM:
                listener.listen(64)
            self._selector.register(listener, selectors.EVENT_READ, answer)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return self._close_all()
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)

    def _close_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, self._answer_stream)

    def _answer_stream(self, connection: socket.socket) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = connection.recv(65536)
        body = seen(connection.getpeername()) if data else b""
        if data.startswith(b"GET "):  # closed by the server, so that the pod may use its port again at once
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body)
        elif data:
            return connection.sendall(body)
        self._selector.unregister(connection)
        connection.close()

    def _answer_datagram(self, listener: socket.socket) -> None:
        _, peer = listener.recvfrom(65536)
        listener.sendto(seen(peer), peer)
