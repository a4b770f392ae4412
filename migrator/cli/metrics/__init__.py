"""What a command counts while it works, and where that goes: Prometheus asks an endpoint, CloudWatch reads lines.

Listeners of the engines count (`copying`, `relaying`, `reversing`, `verifying`) and pass on what they hear; `exports`
gives the counts away while the work runs.
"""

from __future__ import annotations
