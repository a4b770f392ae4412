"""AWS Signature Version 4 for DynamoDB's one kind of request: a POST of JSON.

botocore's `SigV4Auth` is the reference, and the tests hold the two equal; here the signing key is kept for its day and
the canonical request is put together from parts that do not change.
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

CONTENT_TYPE: Final = "application/x-amz-json-1.0"
TARGET_PREFIX: Final = "DynamoDB_20120810."


class Signer:
    """Signs requests for one endpoint and region. Holds the last day's signing key and the last second's timestamp."""

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
        self._second = -1
        self._timestamp = ""

    def headers(
        self, operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float | None = None
    ) -> dict[str, str]:
        """The headers of a request, its signature among them.

        Args:
            operation: DynamoDB's name of it: `BatchWriteItem`.
            body: the request's body.
            credentials: as they are now.
            now: seconds since the epoch; this machine's clock where it is not given.
        """
        timestamp = self._timestamp_of(int(time.time() if now is None else now))
        target = TARGET_PREFIX + operation
        token = credentials.token
        signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
        if token:
            canonical = f"{self._opening}{timestamp}\nx-amz-security-token:{token}\nx-amz-target:{target}\n\n{signed}\n"
        else:
            signed = "content-type;host;x-amz-date;x-amz-target"
            canonical = f"{self._opening}{timestamp}\nx-amz-target:{target}\n\n{signed}\n"
        request_hash = sha256((canonical + sha256(body).hexdigest()).encode()).hexdigest()
        scope = f"{timestamp[:8]}/{self._region}/dynamodb/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{request_hash}".encode()
        signature = hmac.digest(self._signing_key(timestamp[:8], credentials.secret_key), to_sign, "sha256").hex()
        headers = {
            "Host": self.host,
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Date": timestamp,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}",
        }
        if token:
            headers["X-Amz-Security-Token"] = token
        return headers

    def _timestamp_of(self, second: int) -> str:
        if second != self._second:
            self._second = second
            self._timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return self._timestamp

    def _signing_key(self, day: str, secret_key: str | None) -> bytes:
        if self._key_is_for != (day, secret_key):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = key
            self._key_is_for = (day, secret_key)
        return self._key
