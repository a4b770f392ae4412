"""A webhook: one JSON document, sent to an address that may hold a secret and is therefore never shown."""

from __future__ import annotations

import ssl
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import orjson
import stamina

import migrator
from migrator.errors import ConfigurationError, MigratorError

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTEMPTS: Final = 4
SECONDS_EACH: Final = 5.0
SECONDS_IN_ALL: Final = 20.0
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class WebhookError(MigratorError):
    """The webhook has not taken what it was sent. What was verified does not depend on it."""


class _AwayError(Exception):
    """The webhook may take it at another attempt."""


class _NoRedirect(HTTPRedirectHandler):
    """Takes a redirect for a failure: whoever set the address meant that one."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as in the base class
        """Go nowhere."""


def send(url: str, document: Mapping[str, Any]) -> None:
    """Post a document as JSON; an answer in the 200s ends it, and what may pass is tried again.

    TLS is verified by the system's authorities, and `HTTPS_PROXY` is followed.

    Raises:
        ConfigurationError: the address is none: it must be `https`, or `http` on this machine.
        WebhookError: it was not taken, after several attempts where they may help.
    """
    where = _checked(url)
    post = partial(_post, url, orjson.dumps(document))
    try:
        for attempt in stamina.retry_context(
            on=_AwayError, attempts=ATTEMPTS, timeout=SECONDS_IN_ALL, wait_initial=0.2, wait_max=3.0
        ):
            with attempt:
                post()
    except (_AwayError, HTTPError) as error:
        reason = f"it answers {error.code}" if isinstance(error, HTTPError) else str(error)
        raise WebhookError(
            f"the webhook at {where} was not told: {reason}",
            safe="The verdict does not depend on it.",
            next_step="Check MIGRATOR_WEBHOOK_URL, and what listens there.",
        ) from None


def _checked(url: str) -> str:
    """The part of the address that may be shown."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK)):
        raise ConfigurationError(
            "the webhook's address cannot be used: it must begin with https://",
            safe="The verdict does not depend on it.",
            next_step="Correct MIGRATOR_WEBHOOK_URL.",
        )
    return f"{parts.scheme}://{host}"


def _post(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"migrator/{migrator.__version__}"}
    request = Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - the scheme is checked
    opener = build_opener(HTTPSHandler(context=ssl.create_default_context()), _NoRedirect)
    try:
        opener.open(request, timeout=SECONDS_EACH).close()
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.TOO_MANY_REQUESTS or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _AwayError(f"it answers {error.code}") from None
        raise
    except URLError as error:
        raise _AwayError(_reason(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise _AwayError(_reason(error)) from None


def _reason(error: object) -> str:
    """What the system says, without the address that libraries put into their text."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case TimeoutError():
            return "it does not answer in time"
        case OSError(strerror=str(words)):
            return words
        case _:
            return type(error).__name__
