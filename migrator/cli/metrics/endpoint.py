"""The endpoint: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever watches processes."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import rich_click as click
from prometheus_client import make_wsgi_app

from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    from migrator.cli.metrics.health import Health

_READ_ONLY: Final = frozenset({"GET", "HEAD"})
_PATIENCE_SECONDS: Final = 10


class _Handler(WSGIRequestHandler):
    """Says nothing of the requests it answers, and does not wait for ever for one."""

    timeout = _PATIENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: stderr is for what the command does."""


class _Server(ThreadingMixIn, WSGIServer):
    """Answers side by side; a slow client ends with the process."""

    daemon_threads = True

    def server_bind(self) -> None:
        """As the base classes, without asking DNS for the name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Nothing: a client that went away is no concern of the command's."""


class _Server6(_Server):
    address_family = socket.AF_INET6


@contextmanager
def served(registry: CollectorRegistry, health: Health, address: tuple[str, int] | None) -> Iterator[None]:
    """Answer at an address while the block runs; None: nowhere.

    Raises:
        UsageError: nothing can listen there.
    """
    if address is None:
        yield
        return
    host, port = address
    kind = _Server6 if ":" in host else _Server
    try:
        server = make_server(host, port, application(registry, health), kind, _Handler)
    except OSError as error:
        raise UsageError(
            f"metrics cannot be served at {host}:{port}: {error.strerror or error}",
            safe="Nothing was done.",
            next_step="Give another port, or none to do without.",
        ) from error
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"metrics: http://{shown}:{server.server_port}/metrics", err=True)
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def application(registry: CollectorRegistry, health: Health) -> WSGIApplication:
    """What answers: plain text, but for the metrics themselves."""
    metrics = make_wsgi_app(registry)

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ["REQUEST_METHOD"] not in _READ_ONLY:
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, ["only GET"])
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path == "/livez":
            return _plain(start_response, HTTPStatus.OK, ["alive"])
        if path == "/readyz":
            reasons = health.reasons
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            return _plain(start_response, status, reasons or ["ready"])
        return _plain(start_response, HTTPStatus.NOT_FOUND, ["/livez", "/readyz", "/metrics"])

    return respond


def _plain(start_response: StartResponse, status: HTTPStatus, lines: list[str]) -> list[bytes]:
    body = "".join(f"{line}\n" for line in lines).encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
