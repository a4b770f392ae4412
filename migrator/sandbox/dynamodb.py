"""Embedded DynamoDB emulators: MiniStack, which the extra `migrator[sandbox]` installs, and the dynoxide binary.

Both keep everything in memory and listen on a free port of 127.0.0.1. MiniStack also answers for S3 and KMS.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.errors import TargetError
from migrator.sandbox.server import ServerFailedError, missing_extra, new_directory, serving
from migrator.sandbox.supervisor import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HOST = "127.0.0.1"
_SERVICES = "dynamodb,dynamodbstreams,s3,kms"
_DEADLINE_SECONDS = 60.0
# Between choosing a free port and listening on it, another process may take it; a second try helps, hardly a third.
_PORT_TRIES = 5


@dataclass(frozen=True)
class DynamoDBEndpoint:
    """Where a DynamoDB listens, and credentials for it.

    Emulators accept any credentials; the ones given here are no secret.
    """

    endpoint_url: str
    region: str = "us-east-1"
    access_key_id: str = "sandbox"
    secret_access_key: str = field(default="sandbox", repr=False)

    def environment(self) -> dict[str, str]:
        """The AWS SDK's variables with which `migrate`, boto3 and the AWS CLI find this endpoint and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Where both spellings are set, some clients read the one and some the other.
            "NO_PROXY": _HOST,
            "no_proxy": _HOST,
        }


@contextmanager
def embedded_dynamodb() -> Iterator[DynamoDBEndpoint]:
    """Run MiniStack until the block ends, or this process does.

    Raises:
        ConfigurationError: the extra `migrator[sandbox]` is not installed.
        TargetError: the emulator did not start; the message ends with its log.
    """
    if importlib.util.find_spec("ministack") is None:
        raise missing_extra("ministack")
    with _on_a_free_port("MiniStack", _ministack) as endpoint:
        yield endpoint


@contextmanager
def dynoxide(binary: Path) -> Iterator[DynamoDBEndpoint]:
    """Run the dynoxide emulator until the block ends, or this process does.

    Raises:
        TargetError: the emulator did not start; the message ends with its log.
    """
    with _on_a_free_port("dynoxide", lambda directory, port: _dynoxide(binary, directory, port)) as endpoint:
        yield endpoint


@contextmanager
def _on_a_free_port(name: str, order: Callable[[Path, int], Order]) -> Iterator[DynamoDBEndpoint]:
    with ExitStack() as stack:
        for tries_left in reversed(range(_PORT_TRIES)):
            port = _free_port()
            try:
                stack.enter_context(serving(order(new_directory(name.lower()), port)))
            except ServerFailedError as error:
                if tries_left and "already in use" in str(error):
                    continue
                raise TargetError(
                    f"the emulator {name} did not start: {error}",
                    safe="its temporary directory has been removed",
                    next_step="see the log above, and run it again",
                ) from error
            yield DynamoDBEndpoint(f"http://{_HOST}:{port}")
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _ministack(directory: Path, port: int) -> Order:
    settings = {"BIND_HOST": _HOST, "GATEWAY_PORT": str(port), "SERVICES": _SERVICES, "LOG_LEVEL": "INFO"}
    return _order([sys.executable, "-I", "-m", "ministack"], settings, directory, port)


def _dynoxide(binary: Path, directory: Path, port: int) -> Order:
    return _order([str(binary.resolve()), "serve", "--host", _HOST, "--port", str(port)], {}, directory, port)


def _order(command: list[str], settings: dict[str, str], directory: Path, port: int) -> Order:
    return Order(
        directory=str(directory),
        preparation=[],
        command=command,
        environment={"PATH": os.defpath, "HOME": str(directory), "TMPDIR": str(directory), **settings},
        # Both say so once they listen; an answer on the port alone could come from another process.
        ready_text=f"http://{_HOST}:{port}",
        stop_signal=signal.SIGTERM,
        deadline_seconds=_DEADLINE_SECONDS,
        user=None,
    )
