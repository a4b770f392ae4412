"""What a scheduler is to run, and under which names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.schedules.times import Times
    from migrator.mapping import Table

SECRETS: Final = ("DATABASE_URL", "MIGRATOR_WEBHOOK_URL")
"""The variables that hold secrets; files refer to them, and never hold their values."""
_READ: Final = (
    "dynamodb:BatchGetItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
)
_WRITE: Final = ("dynamodb:DeleteItem", "dynamodb:PutItem")


class File(NamedTuple):
    """A file: its name, and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class Job:
    """A verification that is to be scheduled.

    Attributes:
        times: when.
        name: what files, units and resources are called.
        arguments: those of `migrate`.
        tables: the target tables.
        repairs: whether it writes to them.
        directory: the project's directory on the machine.
        user: who runs it there.
        image: the container image.
        namespace: that of Kubernetes.
        account: the service account there.
    """

    times: Times
    name: str
    arguments: Sequence[str]
    tables: Sequence[Table]
    repairs: bool
    directory: str
    user: str
    image: str
    namespace: str
    account: str

    @property
    def actions(self) -> list[str]:
        """What it may do with the tables."""
        return sorted(_READ + _WRITE if self.repairs else _READ)

    def statements(self, resources: Sequence[Any]) -> list[dict[str, Any]]:
        """The statements of its policy, which allow no more than it does; `resources` are the tables' ARNs."""
        return [{"Sid": "Verify", "Effect": "Allow", "Action": self.actions, "Resource": list(resources)}]
