"""How long a request may live: what bounds it, and so what must be waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, by PostgreSQL's clock.

    Attributes:
        request: how long after its snapshot a request may be sent for the last time.
        signature: how long DynamoDB takes a request after it was signed.
        skew: how far clocks may be apart.
    """

    request: float = 10.0
    signature: float = 900.0
    skew: float = 300.0

    @property
    def life(self) -> float:
        """How long after its snapshot a request can still take effect."""
        return self.request + self.signature + self.skew
