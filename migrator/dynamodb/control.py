"""DynamoDB's control plane through boto3, with its errors in this package's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, SSLError  # noqa: A004
from botocore.parsers import ResponseParserError

from migrator.dynamodb.clock import explained
from migrator.dynamodb.errors import Attempt, Place, UnreachableError, error_of_code, not_dynamodb
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.dynamodb.session import Session


_AWS_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_SETTINGS: Final = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})


def connect(session: Session) -> DynamoDBClient:
    """A boto3 client for the session's DynamoDB. It sends nothing yet."""
    return _aws(session).client("dynamodb", endpoint_url=session.endpoint_url, config=_SETTINGS)


def connect_streams(session: Session) -> BaseClient:
    """A boto3 client for the streams of the session's DynamoDB, which AWS serves at an endpoint of its own.

    What it is told of shards it does not validate: an emulator may call them what AWS would not.
    """
    host = urlsplit(session.endpoint_url).hostname or ""
    endpoint_url = None if host.endswith(_AWS_SUFFIXES) else session.endpoint_url
    settings = _SETTINGS.merge(Config(parameter_validation=False))
    client: BaseClient = _aws(session).client("dynamodbstreams", endpoint_url=endpoint_url, config=settings)
    return client


def _aws(session: Session) -> boto3.session.Session:
    return boto3.session.Session(botocore_session=session.aws, region_name=session.region)


def place_of(client: BaseClient) -> Place:
    """Region and endpoint of a client, as messages tell them."""
    return Place(client.meta.region_name, client.meta.endpoint_url)


def ask(client: BaseClient, method: str, table: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Calls a method of the client, such as `describe_table`, and returns the answer.

    Raises:
        AnswerError: DynamoDB refused (see `migrator.dynamodb.errors`).
        UnreachableError: no answer came.
        ConfigurationError: the endpoint's certificate or the credentials cannot be used.
    """
    attempt = Attempt(client.meta.method_to_api_mapping[method], table, place_of(client))
    try:
        answer: dict[str, Any] = getattr(client, method)(**request)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        refused = error_of_code(
            attempt,
            status=metadata["HTTPStatusCode"],
            code=error.response["Error"]["Code"],
            message=error.response["Error"].get("Message", ""),
        )
        raise explained(refused, metadata["HTTPHeaders"].get("date")) from error
    except SSLError as error:
        raise ConfigurationError(
            f"the certificate of {attempt.place.endpoint_url} is not trusted",
            next_step="name the authority's certificate in AWS_CA_BUNDLE, or correct the endpoint",
        ) from error
    except ResponseParserError as error:
        raise not_dynamodb(attempt) from error
    except (ConnectionError, HTTPClientError) as error:
        raise UnreachableError(
            f"{attempt.place.endpoint_url} could not be reached for {attempt}: {type(error).__name__}"
        ) from error
    except BotoCoreError as error:
        raise ConfigurationError(
            f"{attempt} could not be sent: {error}", next_step="check the AWS profile, credentials and endpoint"
        ) from error
    return answer
