"""What an application embeds: its writes are mirrored to DynamoDB, and its reads go where the phase says.

`DualWriter` is attached to a sessionmaker or an engine; `Router` takes the two ways to ask; `is_fenced` tells the error
of a write to PostgreSQL when DynamoDB is written. Nothing here loads the command line or the engines.
"""

from __future__ import annotations

from migrator.app.counts import Counts
from migrator.app.errors import is_fenced
from migrator.app.limits import Limits, ReadLimits
from migrator.app.own_writes import OwnWrites, remembering
from migrator.app.read_counts import ReadCounts
from migrator.app.router import Router
from migrator.app.writer import DualWriter, Mode

__all__ = [
    "Counts", "DualWriter", "Limits", "Mode", "OwnWrites", "ReadCounts", "ReadLimits", "Router", "is_fenced",
    "remembering",
]  # fmt: skip
