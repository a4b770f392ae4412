"""Embedded stores for the demo and the tests: a PostgreSQL and a DynamoDB emulator, on this machine only.

Neither needs Docker, root, a running server or an AWS account. A store listens on a Unix socket or on 127.0.0.1, keeps
its data in a temporary directory of its own, and ends with the process that started it, however that one ends. Any
number of them run side by side.
"""

from __future__ import annotations

from migrator.sandbox.dynamodb import DynamoDBEndpoint, dynoxide, embedded_dynamodb
from migrator.sandbox.environment import scrub
from migrator.sandbox.postgres import PostgresEndpoint, embedded_postgres

__all__ = ["DynamoDBEndpoint", "PostgresEndpoint", "dynoxide", "embedded_dynamodb", "embedded_postgres", "scrub"]
