"""Why a value, a key or a declaration cannot be used, said so that its reader can act."""

from __future__ import annotations

from typing import Final

from migrator.errors import ConfigurationError, MigratorError

FUNCTION_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a computed attribute's function raises where it cannot take a value."""


class MappingError(ConfigurationError):
    """A declaration contradicts itself: raised when it is bound to its source, before any store is touched."""

    @property
    def sentence(self) -> str:
        """What is wrong, and what to change."""
        return f"{self.what}. {self.next_step}" if self.next_step else f"{self.what}."


class Unfit(ValueError):  # noqa: N818 - a value is unfit, which is not an error of the program
    """One value has no exact form in DynamoDB.

    Raised inside the codec, where neither table nor column is known; `Unencodable` adds them.
    `policy` names the declaration that would allow the value, where there is one.
    """

    def __init__(self, reason: str, policy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.policy = policy


class Unencodable(MigratorError):  # noqa: N818 - said of the row, which the program handles
    """A row has no exact items: it is set aside under its key, and the rest goes on."""

    def __init__(self, table: str, key: tuple[str, ...], column: str, unfit: Unfit) -> None:
        self.table = table
        self.key = key
        self.column = column
        self.reason = unfit.reason
        self.policy = unfit.policy
        super().__init__(
            f"{table} ({', '.join(key)}), column {column}: {unfit.reason}",
            safe="The row is unchanged in PostgreSQL, and no item was written for it.",
            next_step=unfit.policy or "Correct the row, then run the command again.",
        )

    @property
    def why(self) -> str:
        """Column, reason and policy, without the row's key."""
        return f"column {self.column}: {self.reason}" + (f". {self.policy}" if self.policy else "")


class Undecodable(MigratorError):  # noqa: N818 - said of the item
    """An item does not have the form that its mapping gives it."""

    def __init__(self, entity: str, where: str, reason: str) -> None:
        self.entity = entity
        self.where = where
        self.reason = reason
        super().__init__(f"an item of {entity} cannot be read back at {where}: {reason}")
