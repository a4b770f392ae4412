"""What an application embeds: its writes are mirrored to DynamoDB, and its reads go where the phase says.

`DualWriter` is attached to a sessionmaker or an engine; `Router` takes the two ways to ask. Nothing here loads the
command line or the engines.
"""

from __future__ import annotations

from migrator.app.counts import Counts
from migrator.app.limits import Limits, ReadLimits
from migrator.app.own_writes import OwnWrites, remembering
from migrator.app.read_counts import ReadCounts
from migrator.app.router import Router
from migrator.app.writer import DualWriter, Mode

__all__ = ["Counts", "DualWriter", "Limits", "Mode", "OwnWrites", "ReadCounts", "ReadLimits", "Router", "remembering"]
