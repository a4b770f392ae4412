"""Moves a live application from PostgreSQL to DynamoDB without stopping it and without losing a write."""

from __future__ import annotations

__version__ = "0.1.0"
