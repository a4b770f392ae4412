"""Relay: marks are taken as they come and reconciled in batches, by any number of relays at once, until stopped."""

from __future__ import annotations

from migrator.engines.relay.job import Limits, Listener, Outcome, Silent, relay

__all__ = ["Limits", "Listener", "Outcome", "Silent", "relay"]
