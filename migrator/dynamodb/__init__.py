"""The target edge: DynamoDB's wire API for items, and its control plane for tables."""

from __future__ import annotations

from migrator.dynamodb.batches import BatchWriter, Refused, Written
from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client, Counts
from migrator.dynamodb.inserts import InsertWriter
from migrator.dynamodb.items import batch_get, delete_item, get_item, put_item, query
from migrator.dynamodb.lanes import Layout
from migrator.dynamodb.pacing import Pace
from migrator.dynamodb.pages import Page
from migrator.dynamodb.retry import Backoff
from migrator.dynamodb.scan import scan
from migrator.dynamodb.session import Session, open_session
from migrator.dynamodb.transport import Request, Response, Transport

__all__ = [
    "Backoff",
    "BatchWriter",
    "Client",
    "Counts",
    "InsertWriter",
    "Layout",
    "Pace",
    "Page",
    "Refused",
    "Request",
    "Response",
    "Session",
    "Transport",
    "Written",
    "batch_get",
    "check",
    "delete_item",
    "get_item",
    "open_session",
    "put_item",
    "query",
    "scan",
]
