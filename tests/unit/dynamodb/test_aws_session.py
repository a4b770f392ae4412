from __future__ import annotations

import asyncio
import datetime as dt
import threading
from typing import TYPE_CHECKING

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import UnauthorizedSSOTokenError

from migrator.dynamodb import Client, Response, Session, open_session
from migrator.dynamodb.session import CurrentCredentials, aws_session
from migrator.errors import ConfigurationError
from tests.unit.dynamodb.wire import answer, run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migrator.dynamodb import Request

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The AWS SDK's environment with nothing in it but a configuration file of the test's own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", *KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def set_all(environ: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        environ.setenv(name, value)


async def test_everything_can_come_from_the_environment(environ: pytest.MonkeyPatch) -> None:
    set_all(environ, AWS_REGION="eu-central-1", **KEYS | {"AWS_SESSION_TOKEN": "token"})
    session = open_session()
    assert session.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"
    credentials = await session.frozen_credentials()
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("AKIDEXAMPLE", "secret", "token")


def test_what_is_given_goes_before_the_environment(environ: pytest.MonkeyPatch) -> None:
    set_all(environ, AWS_REGION="eu-central-1", AWS_ENDPOINT_URL_DYNAMODB="http://one:1", **KEYS)
    session = open_session(region="us-east-1", endpoint_url="http://two:2")
    assert (session.region, session.endpoint_url) == ("us-east-1", "http://two:2")


def test_the_service_s_own_endpoint_goes_before_the_general_one(environ: pytest.MonkeyPatch) -> None:
    set_all(environ, AWS_REGION="us-east-1", AWS_ENDPOINT_URL="http://all:1", **KEYS)
    assert open_session().endpoint_url == "http://all:1"
    environ.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://one:2")
    assert open_session().endpoint_url == "http://one:2"


def test_a_profile_gives_region_endpoint_ca_bundle_and_keys(environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile shop]\nregion = ap-northeast-1\nendpoint_url = http://shop:3\nca_bundle = /etc/shop.pem\n"
    )
    (tmp_path / "credentials").write_text("[shop]\naws_access_key_id = A\naws_secret_access_key = B\n")
    session = open_session(profile="shop")
    assert (session.region, session.endpoint_url) == ("ap-northeast-1", "http://shop:3")
    environ.delenv("AWS_CA_BUNDLE", raising=False)
    assert open_session(profile="shop").ca_bundle == "/etc/shop.pem"


def test_a_proxy_serves_its_scheme_and_not_the_hosts_excepted(environ: pytest.MonkeyPatch) -> None:
    set_all(environ, AWS_REGION="us-east-1", HTTPS_PROXY="http://proxy:3128", NO_PROXY="inside.example", **KEYS)
    assert open_session().proxy == "http://proxy:3128"
    assert open_session(endpoint_url="https://inside.example").proxy is None
    assert open_session(endpoint_url="http://outside.example").proxy is None


@pytest.mark.parametrize(
    ("values", "arguments", "what", "next_step"),
    [
        (KEYS, {}, "no AWS region", "--region"),
        ({"AWS_REGION": "us-east-1"}, {}, "no AWS credentials", "AWS_PROFILE"),
        ({"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "A"}, {}, "AWS settings cannot be used", "AWS_"),
        ({}, {"profile": "nobody"}, "profile nobody", "--profile"),
        ({"AWS_PROFILE": "nobody"}, {}, "profile nobody", "AWS_PROFILE"),
        (KEYS, {"region": "us-east-1", "endpoint_url": "localhost"}, "AWS settings cannot be used", "--endpoint-url"),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_the_next_step(
    environ: pytest.MonkeyPatch, values: dict[str, str], arguments: dict[str, str], what: str, next_step: str
) -> None:
    set_all(environ, **values)
    with pytest.raises(ConfigurationError, match=what) as found:
        open_session(**arguments)
    assert next_step in (found.value.next_step or "")
    assert found.value.exit_code == 4


def test_either_name_of_the_region_variable_will_do(environ: pytest.MonkeyPatch) -> None:
    set_all(environ, AWS_DEFAULT_REGION="eu-west-2", **KEYS)
    assert open_session().region == "eu-west-2"
    environ.setenv("AWS_REGION", "eu-west-3")
    assert open_session().region == "eu-west-3"


def test_a_configuration_file_that_cannot_be_read_is_named(environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_all(environ, AWS_REGION="us-east-1", **KEYS)
    (tmp_path / "config").write_text("[profile shop\nregion")
    with pytest.raises(ConfigurationError, match="configuration cannot be read"):
        open_session()


def test_a_ca_bundle_that_cannot_be_read_is_named(environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_all(environ, AWS_REGION="us-east-1", AWS_CA_BUNDLE=str(tmp_path / "absent.pem"), **KEYS)
    with pytest.raises(ConfigurationError, match=r"absent\.pem") as found:
        open_session().ssl_context()
    assert "AWS_CA_BUNDLE" in (found.value.next_step or "")


def refreshable(renew: Callable[[], dict[str, str]]) -> Session:
    expired = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    credentials = RefreshableCredentials("old", "old", "old", expired, renew, "test")
    return Session("us-east-1", "http://127.0.0.1:1", credentials, aws_session())


async def test_expired_credentials_are_renewed_away_from_the_loop() -> None:
    renewed_in: list[int] = []

    def renew() -> dict[str, str]:
        renewed_in.append(threading.get_ident())
        expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        return {"access_key": "new", "secret_key": "new", "token": "new", "expiry_time": expiry.isoformat()}

    session = refreshable(renew)
    assert (await session.frozen_credentials()).access_key == "new"
    assert (await session.frozen_credentials()).access_key == "new"
    assert len(renewed_in) == 1
    assert renewed_in[0] != threading.get_ident()


async def test_credentials_that_cannot_be_renewed_say_how_to_log_in() -> None:
    def renew() -> dict[str, str]:
        raise UnauthorizedSSOTokenError

    with pytest.raises(ConfigurationError, match="cannot be renewed") as found:
        await refreshable(renew).frozen_credentials()
    assert "aws sso login" in (found.value.next_step or "")


MIDNIGHT = dt.datetime(2025, 11, 29, tzinfo=dt.UTC)


def hourly(time: Callable[[], float], renewals: list[str]) -> Session:
    """A session whose credentials are renewed within the hour of a clock in seconds, and named by the renewal."""

    def renew() -> dict[str, str]:
        name = f"AKID{len(renewals) + 1}"
        renewals.append(name)
        expiry = MIDNIGHT + dt.timedelta(seconds=time(), hours=1)
        return {"access_key": name, "secret_key": name, "token": f"token-{name}", "expiry_time": expiry.isoformat()}

    def now() -> dt.datetime:
        return MIDNIGHT + dt.timedelta(seconds=time())

    expiry = MIDNIGHT + dt.timedelta(hours=1)
    credentials = RefreshableCredentials("AKID0", "AKID0", "token-AKID0", expiry, renew, "test", time_fetcher=now)
    return Session("us-east-1", "http://127.0.0.1:1", credentials, aws_session())


@pytest.mark.uncovered
def test_credentials_that_rotate_in_the_middle_are_picked_up_before_the_old_ones_end() -> None:
    async def work() -> None:
        time = asyncio.get_running_loop().time
        renewals: list[str] = []
        sent: list[tuple[float, str]] = []

        async def send(request: Request) -> Response:
            name = request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
            assert request.headers["X-Amz-Security-Token"] == f"token-{name}"
            sent.append((time(), name))
            await asyncio.sleep(10.0)
            return answer({})

        async with Client(hourly(time, renewals), transport=send) as client:

            async def keep_writing() -> None:
                while time() < 3.2 * 3600:
                    await client.call("PutItem", b"{}")

            await asyncio.gather(*(keep_writing() for _ in range(4)))
        # Each serves for 45 minutes: botocore renews from a quarter of an hour before the end.
        assert renewals == ["AKID1", "AKID2", "AKID3", "AKID4"]
        began = {name: min(moment for moment, by in sent if by == name) for name in ("AKID0", *renewals)}
        ended = {name: max(moment for moment, by in sent if by == name) for name in ("AKID0", *renewals)}
        assert all(ended[name] - began[name] < 3600.0 for name in began)

    run_at_once(work())


async def test_requests_that_wait_for_new_credentials_share_one_renewal() -> None:
    renewals: list[str] = []
    session = hourly(lambda: 7200.0, renewals)
    credentials = CurrentCredentials(session)
    found = await asyncio.gather(*(credentials.get() for _ in range(20)))
    assert renewals == ["AKID1"]
    assert {each.access_key for each in found} == {"AKID1"}
