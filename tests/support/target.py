"""A DynamoDB table for a test, as the toolkit's own session and control plane reach it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.credentials import Credentials

from migrator.dynamodb import Client, Session, admin, control
from migrator.dynamodb.session import aws_session

if TYPE_CHECKING:
    from migrator.mapping import Table
    from migrator.sandbox import DynamoDBEndpoint


@dataclass(frozen=True)
class Target:
    """Where a table is, and the table as it was declared."""

    session: Session
    table: Table

    def client(self) -> Client:
        """A wire client, not yet entered."""
        return Client(self.session)


def session_of(endpoint: DynamoDBEndpoint) -> Session:
    """The session of an endpoint and its own credentials; the environment is not asked."""
    aws = aws_session()
    aws.set_credentials(endpoint.access_key_id, endpoint.secret_access_key)
    credentials = Credentials(endpoint.access_key_id, endpoint.secret_access_key)
    return Session(endpoint.region, endpoint.endpoint_url, credentials, aws)


def create(endpoint: DynamoDBEndpoint, table: Table) -> Target:
    """Create a table as it is declared, without the settings that no item depends on."""
    session = session_of(endpoint)
    plain = replace(table, stream=None, point_in_time_recovery=False, encryption=False, tags={})
    client = control.connect(session)
    try:
        admin.apply(client, plain, admin.plan(client, plain))
    finally:
        client.close()
    return Target(session, plain)
