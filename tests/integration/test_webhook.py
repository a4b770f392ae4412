"""A webhook is told once, at its own address, and what it is cannot be learned from a message."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from migrator.cli import webhook
from migrator.cli.webhook import WebhookError, send
from migrator.errors import ConfigurationError
from tests.support.webhook import Webhook

CERTIFICATE = Path(__file__).parent / "dynamodb" / "certificate.pem"
DOCUMENT = {"event": "differences", "text": "3 missing"}


def test_it_is_told_once() -> None:
    with Webhook() as hook:
        send(hook.url, DOCUMENT)
    assert hook.told == [DOCUMENT]
    assert hook.paths == ["/hooks/hidden-word"]


def test_what_passes_is_tried_again() -> None:
    with Webhook(503, 429) as hook:
        send(hook.url, DOCUMENT)
    assert hook.told == [DOCUMENT]
    assert len(hook.paths) == 3


@pytest.mark.parametrize("status", [404, 302, 307])
def test_what_does_not_pass_is_not(status: int) -> None:
    with Webhook(status) as hook, pytest.raises(WebhookError, match=f"it answers {status}") as caught:
        send(hook.url, DOCUMENT)
    assert hook.paths == ["/hooks/hidden-word"]
    assert "hidden-word" not in f"{caught.value} {caught.value.next_step}"


def test_it_is_given_up_in_the_end() -> None:
    with Webhook(*[500] * 9) as hook, pytest.raises(WebhookError, match="it answers 500"):
        send(hook.url, DOCUMENT)
    assert len(hook.paths) == webhook.ATTEMPTS


def test_one_that_is_away_is_named_without_its_secret() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/hidden-word"
        with pytest.raises(WebhookError, match=r"at http://127\.0\.0\.1 was not told: Connection refused") as caught:
            send(url, DOCUMENT)
    assert "hidden-word" not in str(caught.value)


def test_a_certificate_that_nobody_signed_is_refused() -> None:
    with (
        Webhook(certificate=CERTIFICATE) as hook,
        pytest.raises(WebhookError, match="its certificate is not trusted"),
    ):
        send(hook.url, DOCUMENT)
    assert hook.told == []


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://example.org", "file:///etc/passwd", "https://", "x", "https://[x"]
)
def test_an_address_in_the_clear_or_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with https"):
        send(url, DOCUMENT)
