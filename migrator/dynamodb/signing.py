"""AWS Signature Version 4 for DynamoDB's one kind of request: a POST of JSON.

botocore's `SigV4Auth` is the reference, and the tests hold the two equal; here all that requests of one second have in
common is put together once, and the signing key once a day.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

CONTENT_TYPE: Final = "application/x-amz-json-1.0"
TARGET_PREFIX: Final = "DynamoDB_20120810."


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all requests of one second and one set of credentials have in common.

    `canonical` and `closing` stand before the operation and between it and the body's hash in the canonical request,
    `to_sign` before the canonical request's hash, `authorization` before the signature; `mac` holds the signing key.
    """

    canonical: str
    closing: str
    to_sign: str
    mac: hmac.HMAC
    authorization: str
    headers: dict[str, str]


class Signer:
    """Signs requests for one endpoint and region. Holds what the last second's requests had in common."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        parts = urlsplit(endpoint_url)
        default_port = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in (None, default_port) else f":{parts.port}"
        self.host = f"{f'[{parts.hostname}]' if ':' in (parts.hostname or '') else parts.hostname}{port}"
        self._region = region
        self._opening = (
            f"POST\n{quote(parts.path or '/', safe='/~')}\n\ncontent-type:{CONTENT_TYPE}\nhost:{self.host}\nx-amz-date:"
        )
        self._key = b""
        self._key_is_for: tuple[str, str | None] = ("", None)
        self._moment: _Moment | None = None
        self._moment_is_for: tuple[int, ReadOnlyCredentials] | None = None

    def headers(
        self, operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float | None = None
    ) -> dict[str, str]:
        """The headers of a request, its signature among them.

        Args:
            operation: DynamoDB's name of it: `BatchWriteItem`.
            body: the request's body.
            credentials: as they are now.
            now: seconds since the epoch; this machine's clock where it is not given.

        Raises:
            ConfigurationError: the credentials have characters that no credentials have.
        """
        is_for = (int(time.time() if now is None else now), credentials)
        if self._moment is None or self._moment_is_for != is_for:
            self._moment, self._moment_is_for = self._moment_of(*is_for), is_for
        moment = self._moment
        canonical = f"{moment.canonical}{operation}{moment.closing}{sha256(body).hexdigest()}"
        to_sign = f"{moment.to_sign}{sha256(canonical.encode()).hexdigest()}"
        # A copy of what has its key already costs two thirds of `hmac.digest`.
        mac = moment.mac.copy()
        mac.update(to_sign.encode())
        return {
            **moment.headers,
            "X-Amz-Target": TARGET_PREFIX + operation,
            "Authorization": moment.authorization + mac.hexdigest(),
        }

    def _moment_of(self, second: int, credentials: ReadOnlyCredentials) -> _Moment:
        for value in credentials:
            if value and not (value.isascii() and value.isprintable()):
                raise ConfigurationError(
                    "the AWS credentials contain a line break or another character that none have",
                    next_step="set the access key, the secret key and the session token again, as AWS gave them",
                )
        timestamp, token = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)), credentials.token
        day = timestamp[:8]
        scope = f"{day}/{self._region}/dynamodb/aws4_request"
        signed = f"content-type;host;x-amz-date;{'x-amz-security-token;' if token else ''}x-amz-target"
        token_line = f"x-amz-security-token:{token}\n" if token else ""
        return _Moment(
            canonical=f"{self._opening}{timestamp}\n{token_line}x-amz-target:{TARGET_PREFIX}",
            closing=f"\n\n{signed}\n",
            to_sign=f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n",
            mac=hmac.new(self._signing_key(day, credentials.secret_key), digestmod="sha256"),
            authorization=f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature=",
            headers={"Host": self.host, "Content-Type": CONTENT_TYPE, "X-Amz-Date": timestamp}
            | ({"X-Amz-Security-Token": token} if token else {}),
        )

    def _signing_key(self, day: str, secret_key: str | None) -> bytes:
        if self._key_is_for != (day, secret_key):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = key
            self._key_is_for = (day, secret_key)
        return self._key
