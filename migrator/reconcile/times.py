"""How long a request may live: what bounds it, and so what must be waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, by PostgreSQL's clock; the same for all that write for a model.

    Attributes:
        request: how long after its snapshot a request may be sent for the last time.
        page: the same for a page of a copy, which carries hundreds of rows at the pace that a table takes.
        signature: how long DynamoDB takes a request after it was signed.
        skew: how far clocks may be apart.
    """

    request: float = 10.0
    page: float = 300.0
    signature: float = 900.0
    skew: float = 300.0

    @property
    def life(self) -> float:
        """How long after its snapshot a request can still take effect."""
        return max(self.request, self.page) + self.signature + self.skew
