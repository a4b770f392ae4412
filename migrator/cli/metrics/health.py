"""Whether a command is doing its work, as whoever starts and watches processes asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

STARTING: Final = "the stores are not open yet"
FAILING: Final = "a store failed, and is tried again"


class Health:
    """What keeps each model's work from going on, if anything does. A process that answers at all is alive.

    Args:
        models: the names of the models.
    """

    def __init__(self, models: Iterable[str]) -> None:
        self._reasons: dict[str, str] = dict.fromkeys(models, STARTING)

    def goes_on(self, model: str) -> None:
        """A model's work goes on."""
        self._reasons.pop(model, None)

    def began(self, model: str) -> None:
        """A model's stores were opened, which says nothing of failures since."""
        if self._reasons.get(model) == STARTING:
            self.goes_on(model)

    def fails(self, model: str) -> None:
        """A store has failed."""
        self._reasons[model] = FAILING

    @property
    def reasons(self) -> list[str]:
        """Why the command is not ready, a line for each model that is kept from going on."""
        return [f"{model}: {reason}" for model, reason in self._reasons.copy().items()]
