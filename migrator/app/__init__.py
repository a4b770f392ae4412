"""What an application embeds: its writes are mirrored to DynamoDB as they are committed to PostgreSQL.

`DualWriter` is attached to a sessionmaker or an engine. Nothing here loads the command line or the engines.
"""

from __future__ import annotations

from migrator.app.counts import Counts
from migrator.app.limits import Limits
from migrator.app.writer import DualWriter, Mode

__all__ = ["Counts", "DualWriter", "Limits", "Mode"]
