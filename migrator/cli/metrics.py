"""What relays do, for Prometheus: a listener that counts, and an endpoint that gives the counts away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import rich_click as click
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.engines import relay
    from migrator.errors import MigratorError
    from migrator.postgres.pending import Backlog

_HOST: Final = "127.0.0.1"
_LAST_PORT: Final = 65_535


class Address(click.ParamType[tuple[str, int]]):
    """Where to listen: a port of this machine alone, or host and port."""

    name = "[HOST:]PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Host and port of what was given."""
        host, _, port = str(value).rpartition(":")
        if not port.isdecimal() or int(port) > _LAST_PORT:
            self.fail(f"{value!r} is neither a port nor a host and a port, as in 9464 or 0.0.0.0:9464", param, ctx)
        return host.removeprefix("[").removesuffix("]") or _HOST, int(port)


class RelayMetrics:
    """The metrics of this process's relays, by model."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.settled = self._counter("settled", "Changes whose items are in order.")
        self.written = self._counter("items_written", "Items and tombstones written.")
        self.set_aside = self._counter("set_aside", "Changes that were set aside with a reason.")
        self.failures = self._counter("failures", "Times that a store failed and was tried again.")
        self.waiting = self._gauge("waiting", "Changes that wait for their turn.")
        self.aside = self._gauge("waiting_set_aside", "Changes that are set aside.")
        self.lag = self._gauge("lag_seconds", "Age of the oldest change that waits; 0 where none does.")
        self.bytes = self._gauge("marks_bytes", "Bytes on the source's disk that waiting changes take, about.")

    def _counter(self, name: str, words: str) -> Counter:
        return Counter(f"migrator_relay_{name}", words, ["model"], registry=self.registry)

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"migrator_relay_{name}", words, ["model"], registry=self.registry)


class Counting:
    """A listener of one model's relay that counts what it hears, and passes it on. It holds what is counted already."""

    def __init__(self, model: str, metrics: RelayMetrics, listener: relay.Listener) -> None:
        self._metrics = metrics
        self._listener = listener
        self._model = model
        self._counted = (0, 0, 0)
        for counter in (metrics.settled, metrics.written, metrics.set_aside, metrics.failures):
            # Zero is known from the start: a rate needs two values.
            counter.labels(model)

    def progressed(self, outcome: relay.Outcome) -> None:
        """A batch was settled."""
        metrics, now = self._metrics, (outcome.settled, outcome.written, outcome.set_aside)
        for counter, total, before in zip(
            (metrics.settled, metrics.written, metrics.set_aside), now, self._counted, strict=True
        ):
            counter.labels(self._model).inc(total - before)
        self._counted = now
        self._listener.progressed(outcome)

    def looked(self, outcome: relay.Outcome, backlog: Backlog) -> None:
        """So much waits."""
        metrics = self._metrics
        metrics.waiting.labels(self._model).set(backlog.waiting)
        metrics.aside.labels(self._model).set(backlog.set_aside)
        metrics.lag.labels(self._model).set(backlog.lag)
        metrics.bytes.labels(self._model).set(backlog.live_bytes)
        self._listener.looked(outcome, backlog)

    def set_aside(self, source: str, reason: str) -> None:
        """A mark cannot be reconciled."""
        self._listener.set_aside(source, reason)

    def refused(self, error: MigratorError) -> None:
        """A table is not followed any more."""
        self._listener.refused(error)

    def taken_up(self, source: str) -> None:
        """A table is followed again."""
        self._listener.taken_up(source)

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed."""
        self._metrics.failures.labels(self._model).inc()
        self._listener.failed(error, pause)


@contextmanager
def served(metrics: RelayMetrics, address: tuple[str, int] | None) -> Iterator[None]:
    """Give the metrics away at `/metrics` of an address, while the block runs; None: nowhere.

    Raises:
        UsageError: nothing can listen there.
    """
    if address is None:
        yield
        return
    host, port = address
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise UsageError(
            f"metrics cannot be served at {host}:{port}: {error.strerror or error}",
            safe="Nothing was done.",
            next_step="Give another port, or none to do without.",
        ) from error
    click.echo(f"metrics: http://{host}:{server.server_port}/metrics", err=True)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
