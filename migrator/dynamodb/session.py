"""Where DynamoDB is and who asks: the AWS SDK's own settings, resolved once.

botocore decides: profiles, `AWS_*` variables, SSO, roles, endpoints, CA bundle and proxies mean here what they mean to
the AWS command line.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import botocore.session
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ConfigNotFound,
    ConfigParseError,
    NoRegionError,
    ProfileNotFound,
)
from botocore.httpsession import get_cert_path
from botocore.loaders import create_loader
from botocore.utils import get_environ_proxies

from migrator.dynamodb.errors import Place
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.loaders import Loader

_CREDENTIALS_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Session:
    """A DynamoDB endpoint with the credentials, trust and proxy to reach it. Belongs to one process."""

    region: str
    endpoint_url: str
    credentials: Credentials
    aws: botocore.session.Session
    ca_bundle: str | None = None
    proxy: str | None = None

    @property
    def place(self) -> Place:
        """Region and endpoint, as messages tell them."""
        return Place(self.region, self.endpoint_url)

    async def frozen_credentials(self) -> ReadOnlyCredentials:
        """The credentials to sign a request with now, renewed where they are about to expire.

        Raises:
            ConfigurationError: they cannot be renewed.
        """
        # Renewing asks another service and blocks; it must not hold up the requests in flight.
        if isinstance(self.credentials, RefreshableCredentials) and self.credentials.refresh_needed():
            return await asyncio.to_thread(freeze, self.credentials)
        return self.credentials.get_frozen_credentials()

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS context that trusts what botocore trusts.

        Raises:
            ConfigurationError: the CA bundle cannot be read.
        """
        path = self.ca_bundle or str(get_cert_path(verify=True))
        is_directory = os.path.isdir(path)  # noqa: PTH112 - the path is botocore's, a string
        try:
            return ssl.create_default_context(
                cafile=None if is_directory else path, capath=path if is_directory else None
            )
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"the CA bundle {path} cannot be used: {error}",
                next_step="correct AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or `ca_bundle` in the AWS configuration",
            ) from error


class CurrentCredentials:
    """A session's credentials from one request to the next. Holds those of the last second.

    botocore looks at the clock and a lock each time it is asked; it renews minutes before credentials expire, so once a
    second is often enough. One renewal serves all requests that wait for it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._renewing = asyncio.Lock()
        self._frozen: ReadOnlyCredentials | None = None
        self._until = 0.0

    async def get(self) -> ReadOnlyCredentials:
        """The credentials to sign a request with now.

        Raises:
            ConfigurationError: they cannot be renewed.
        """
        now = asyncio.get_running_loop().time
        if self._frozen is not None and now() < self._until:
            return self._frozen
        async with self._renewing:
            if self._frozen is None or now() >= self._until:
                self._frozen = await self._session.frozen_credentials()
                self._until = now() + _CREDENTIALS_SECONDS
            return self._frozen


def open_session(*, profile: str | None = None, region: str | None = None, endpoint_url: str | None = None) -> Session:
    """Resolves region, endpoint and credentials; what is not given comes from the AWS SDK's own settings.

    Finding credentials may ask other services (SSO, STS, the instance's metadata), and blocks meanwhile.

    Raises:
        ConfigurationError: no region, no credentials, an unknown profile, expired credentials, an unusable endpoint.
    """
    try:
        aws = aws_session(profile)
        # botocore knows only AWS_DEFAULT_REGION; the AWS command line and the other SDKs prefer AWS_REGION.
        aws.set_config_variable("region", region or os.environ.get("AWS_REGION"))
        credentials = aws.get_credentials()
        ca_bundle = aws.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        # A client of botocore's, never used to send: it knows the precedence of every endpoint and region setting.
        meta = aws.create_client("dynamodb", endpoint_url=endpoint_url).meta
    except ProfileNotFound as error:
        raise ConfigurationError(
            f"AWS profile {profile or os.environ.get('AWS_PROFILE')} is not in the AWS configuration",
            next_step="`aws configure list-profiles` shows the profiles there are; correct `--profile` or AWS_PROFILE",
        ) from error
    except NoRegionError as error:
        raise ConfigurationError(
            "no AWS region is set", next_step="give `--region`, or set AWS_REGION or `region` in the AWS profile"
        ) from error
    except (ConfigParseError, ConfigNotFound) as error:
        raise ConfigurationError(
            f"the AWS configuration cannot be read: {error}", next_step="correct the file that AWS_CONFIG_FILE names"
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"the AWS settings cannot be used: {error}",
            next_step="check `--profile`, `--region`, `--endpoint-url` and the AWS_* variables",
        ) from error
    if credentials is None:
        raise ConfigurationError(
            "no AWS credentials were found",
            next_step="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`",
        )
    freeze(credentials)
    endpoint = str(meta.endpoint_url)
    proxy = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme)
    return Session(str(meta.region_name), endpoint, credentials, aws, ca_bundle, proxy)


def aws_session(profile: str | None = None) -> botocore.session.Session:
    """A session of botocore's. Those of one process read the description of DynamoDB and its endpoints once.

    It takes a tenth of a second of CPU, and megabytes.
    """
    aws = botocore.session.Session(profile=profile)
    aws.register_component("data_loader", _loader(aws.get_config_variable("data_path")))
    return aws


@cache
def _loader(data_path: str | None) -> Loader:
    return create_loader(data_path)


def freeze(credentials: Credentials) -> ReadOnlyCredentials:
    """The credentials at this moment, renewed by botocore where they are about to expire.

    Raises:
        ConfigurationError: they cannot be had.
    """
    try:
        return credentials.get_frozen_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(
            f"the AWS credentials cannot be renewed: {error}",
            next_step="run `aws sso login` (or renew what the profile names), then run the command again",
        ) from error
