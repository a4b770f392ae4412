from __future__ import annotations

import calendar
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from migrator.dynamodb.signing import Signer

REGION = "ap-northeast-1"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - the example of AWS's documentation
OURS = ("Content-Type", "Host", "X-Amz-Date", "X-Amz-Target", "X-Amz-Security-Token")


def reference(url: str, headers: dict[str, str], body: bytes, token: str | None) -> tuple[dict[str, str], float]:
    """The headers of the same request as botocore signs it, and the moment at which it did."""
    unsigned = {name: value for name, value in headers.items() if name not in {"Authorization", "Host"}}
    request = AWSRequest("POST", url, headers=unsigned, data=body)
    SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "dynamodb", REGION).add_auth(request)
    moment = calendar.timegm(time.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    return dict(request.headers.items()), moment


def assert_equal_to_botocore(signer: Signer, url: str, operation: str, body: bytes, token: str | None) -> None:
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", SECRET, token)
    expected, moment = reference(url, signer.headers(operation, body, credentials), body, token)
    ours = signer.headers(operation, body, credentials, moment)
    assert ours["Authorization"] == expected["Authorization"]
    assert {name: ours.get(name) for name in OURS if name != "Host"} == {
        name: expected.get(name) for name in OURS if name != "Host"
    }


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://dynamodb.ap-northeast-1.amazonaws.com", "dynamodb.ap-northeast-1.amazonaws.com"),
        ("https://dynamodb.ap-northeast-1.amazonaws.com:443/", "dynamodb.ap-northeast-1.amazonaws.com"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://gateway.example/dynamo db/v1", "gateway.example"),
    ],
)
@pytest.mark.parametrize("token", [None, "IQoJb3JpZ2luX2VjEXAMPLE//////////"])
def test_the_signature_is_the_one_that_botocore_makes(url: str, host: str, token: str | None) -> None:
    signer = Signer(url, REGION)
    assert signer.host == host
    assert_equal_to_botocore(signer, url, "BatchWriteItem", b'{"RequestItems":{}}', token)


@given(
    body=st.binary(max_size=200),
    operation=st.sampled_from(["Scan", "Query", "PutItem", "BatchExecuteStatement"]),
    token=st.none() | st.text("abcXYZ019+/=", min_size=1),
)
def test_one_signer_signs_any_sequence_of_requests_as_botocore_does(
    body: bytes, operation: str, token: str | None
) -> None:
    url = "http://127.0.0.1:8000"
    assert_equal_to_botocore(KEPT, url, operation, body, token)


KEPT = Signer("http://127.0.0.1:8000", REGION)


def test_the_signing_key_follows_the_day_and_the_secret() -> None:
    kept, midnight = Signer("http://127.0.0.1:8000", REGION), 1_764_374_400.0
    first, second = ReadOnlyCredentials("A", "one", None), ReadOnlyCredentials("A", "two", None)
    for credentials, moment in [(first, midnight - 1), (first, midnight), (second, midnight), (first, midnight)]:
        fresh = Signer("http://127.0.0.1:8000", REGION).headers("Scan", b"{}", credentials, moment)
        assert kept.headers("Scan", b"{}", credentials, moment) == fresh
