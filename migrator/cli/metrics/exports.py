"""Where the metrics of a command go, as its options say."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import rich_click as click

from migrator.cli.metrics.emf import STDOUT, written
from migrator.cli.metrics.endpoint import served
from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry

    from migrator.cli.metrics.health import Health

Function = TypeVar("Function", bound="Callable[..., Any]")
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


def metrics_options(function: Function) -> Function:
    """Give a command `--metrics` and `--emf`, passed on as parameters."""
    metrics = click.option(
        "--metrics",
        type=Address(),
        help="Serve /metrics, /livez and /readyz there; a port alone is that of 127.0.0.1.",
    )
    emf = click.option(
        "--emf", metavar="FILE", help="Append metrics to that file for CloudWatch, a minute each; - is stdout."
    )
    return metrics(emf(function))


@dataclass(frozen=True)
class Exports:
    """An address to serve metrics at, and a file for CloudWatch's lines; None: neither."""

    address: tuple[str, int] | None = None
    emf: str | None = None

    @classmethod
    def asked(cls, metrics: tuple[str, int] | None, emf: str | None, *, as_json: bool) -> Exports:
        """What the options say.

        Raises:
            UsageError: both the result and the lines would go to stdout.
        """
        if as_json and emf == STDOUT:
            raise UsageError(
                "--json and --emf - would both write to stdout",
                safe="Nothing was done.",
                next_step="Name a file for --emf, or leave out --json.",
            )
        return cls(metrics, emf)

    @contextmanager
    def given(self, registry: CollectorRegistry, health: Health) -> Iterator[None]:
        """Give the metrics of a registry away while the block runs.

        Raises:
            UsageError: nothing can listen there, or the file cannot be written.
        """
        with ExitStack() as stack:
            stack.enter_context(written(registry, self.emf))
            stack.enter_context(served(registry, health, self.address))
            yield
