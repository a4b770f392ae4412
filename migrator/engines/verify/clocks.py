"""Whether the clocks agree by which a verification judges what has expired.

It judges by PostgreSQL's; DynamoDB deletes by its own, which takes a signature only from a machine whose clock is right
to five minutes. So two of the three are compared here, and the third by every request.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from migrator.errors import ConfigurationError
from migrator.postgres import verifications

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection

TOLERATED_SECONDS: Final = 300.0


async def require_same_time(control: Connection) -> None:
    """See that PostgreSQL's clock and this machine's are no further apart than AWS allows this machine's and its own.

    Raises:
        ConfigurationError: they are.
        SourceError: PostgreSQL cannot be reached.
    """
    asked = time.time()
    theirs = (await verifications.now(control)).timestamp()
    # Somewhere between the question and the answer they have read it.
    ahead = theirs - min(max(theirs, asked), time.time())
    if abs(ahead) <= TOLERATED_SECONDS:
        return
    difference = f"{timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
    raise ConfigurationError(
        f"PostgreSQL's clock is {difference} this machine's: what is past its expiry cannot be told",
        safe="Nothing was read or changed.",
        next_step="Set the clock that is wrong (let NTP keep it), then run the command again.",
    )
