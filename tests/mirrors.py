"""Mirrors of a data set on this machine. They answer as good and bad mirrors do."""

import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Files = dict[str, bytes]  # gzip files by name
Answer = Callable[["_Handler", bytes], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for all of its threads

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing if a client closes the connection: in some tests it does."""


class _Handler(BaseHTTPRequestHandler):
    mirror: "Mirror"

    def do_GET(self) -> None:
        self.mirror.requests.append(self.path.removeprefix("/"))
        self.mirror.authorizations.append(self.headers["Authorization"])
        address = urlsplit(self.path)
        names = [address.path.rpartition("/")[2], *(value for _, value in parse_qsl(address.query))]
        content = next((self.mirror.files[name] for name in names if name in self.mirror.files), None)
        if content is None:
            not_found(self, b"")
        else:
            self.mirror.answer(self, content)

    def log_message(self, *_: Any) -> None:
        """Keep the terminal clean."""


class Mirror(AbstractContextManager["Mirror"]):
    """A mirror that answers all requests in the same way and remembers them."""

    def __init__(self, files: Files, answer: Answer) -> None:
        self.files, self.answer = files, answer
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self.closing = threading.Event()
        handler = type("_OwnHandler", (_Handler,), {"mirror": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def send(handler: _Handler, content: bytes, announced: object = None, status: int = 200) -> None:
    """Answer with some content. announced: the stated length; None states none."""
    handler.send_response(status)
    if announced is not None:
        handler.send_header("Content-Length", str(announced))
    handler.end_headers()
    handler.wfile.write(content)


def good(handler: _Handler, content: bytes) -> None:
    send(handler, content, announced=len(content))


def good_without_length(handler: _Handler, content: bytes) -> None:
    send(handler, content)


def not_found(handler: _Handler, _content: bytes) -> None:
    send(handler, b"<html>no such file</html>", status=404)


def broken(handler: _Handler, _content: bytes) -> None:
    send(handler, b"", announced=0, status=500)


def login_page(handler: _Handler, _content: bytes) -> None:
    send(handler, b"<html>who are you?</html>", announced=25)


def json_error(handler: _Handler, _content: bytes) -> None:
    send(handler, b'{"error": "quota exceeded"}')


def xml_error(handler: _Handler, _content: bytes) -> None:
    send(handler, b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>')


def lfs_pointer(handler: _Handler, _content: bytes) -> None:
    send(handler, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9912422\n")


def for_ada(handler: _Handler, content: bytes) -> None:
    """Serve only the user ada, whose password is p@ss/word."""
    if handler.headers["Authorization"] == f"Basic {b64encode(b'ada:p@ss/word').decode()}":
        good(handler, content)
    else:
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="mirror"')
        handler.end_headers()


def redirect_to(url: str) -> Answer:
    """Redirect every request to another server."""

    def answer(handler: _Handler, _content: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", url + handler.path)
        handler.end_headers()

    return answer


def empty(handler: _Handler, _content: bytes) -> None:
    send(handler, b"", announced=0)


def cut_off(handler: _Handler, content: bytes) -> None:
    send(handler, content[:-10], announced=len(content))


def cut_off_without_length(handler: _Handler, content: bytes) -> None:
    send(handler, content[:-10])


def length_that_is_no_number(handler: _Handler, content: bytes) -> None:
    send(handler, content[:-10], announced="many")


def hang_up(handler: _Handler, _content: bytes) -> None:
    """Close the connection without an answer."""


def hang(handler: _Handler, _content: bytes) -> None:
    handler.mirror.closing.wait(20)


def hang_in_the_middle(handler: _Handler, content: bytes) -> None:
    send(handler, content[:20], announced=len(content))
    handler.mirror.closing.wait(20)


def trickle(handler: _Handler, content: bytes) -> None:
    send(handler, b"", announced=len(content))
    for byte in content:
        handler.wfile.write(bytes([byte]))
        if handler.mirror.closing.wait(0.05):
            break


def flood(handler: _Handler, _content: bytes) -> None:
    send(handler, bytes(1 << 20))
