"""Prints the fingerprints of a model, for a test to run in other processes."""

from __future__ import annotations

import sys

from mappings.miyabi import MODEL
from migrator.mapping import entity_fingerprint

if __name__ == "__main__":
    sys.stdout.write("\n".join([MODEL.fingerprint, *map(entity_fingerprint, MODEL.entities)]))
