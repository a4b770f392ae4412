"""Verify: the proof that target and source hold the same, both sides complete, at any size in bounded memory.

One scan of the target and one pass over the source are each reduced to lines of key and digest, spread over partitions
on disk, and joined partition by partition. The digests are of testimonies (`migrator.mapping.testimony`): items are
decoded to what their rows hold, by code that shares nothing with the encoder that wrote them. What does not match is a
suspect and is judged by itself: the item and the row are read again, and only a difference that is still there is
reported, attribute by attribute.

What differs can be repaired: a mark is made for it as if it had changed just now, and is settled as every mark is.
"""

from __future__ import annotations

from migrator.engines.verify.findings import Cause, Cost, Coverage, Difference, Parity, Report, Verdict
from migrator.engines.verify.job import foresee, verify
from migrator.engines.verify.reading.crew import Read
from migrator.engines.verify.repairing.repair import Repaired, repair
from migrator.engines.verify.repairing.resync import Outlook, accept, look
from migrator.engines.verify.scope import Scope
from migrator.engines.verify.suspects import Suspects

__all__ = [
    "Cause",
    "Cost",
    "Coverage",
    "Difference",
    "Outlook",
    "Parity",
    "Read",
    "Repaired",
    "Report",
    "Scope",
    "Suspects",
    "Verdict",
    "accept",
    "foresee",
    "look",
    "repair",
    "verify",
]
