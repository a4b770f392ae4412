"""Two who are at one row: who reads it while it moves finds it, and whose write was not answered is told so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from migrator.app.repository import ConflictError, Repository, UnavailableError
from tests.integration.app.test_repository import NOW, organization, user
from tests.integration.app.test_writing import opened, put
from tests.support.faults import Cut, Hold, throttle

if TYPE_CHECKING:
    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy


def test_a_row_that_moves_while_it_is_read_is_found(app: Application, proxy: FaultProxy) -> None:
    with opened(app) as router, opened(app, proxy.endpoint_url) as slow, ThreadPoolExecutor(1) as thread:
        users = Repository(router, "USER", app.sessions)
        one, two = put(users, user(users, 1), user(users, 2))
        repositories = Repository(router, "REPOSITORY", app.sessions)
        [owned] = put(repositories, repositories.record(id="r", user_id=one.id, created_at=NOW, updated_at=NOW))
        proxy.inject(Hold(), on="BatchGetItem", times=1)
        reading = thread.submit(Repository(slow, "REPOSITORY", app.sessions).get, id="r")
        proxy.wait_for("BatchGetItem", 1)
        put(repositories, owned.model_copy(update={"user_id": two.id}))
        proxy.release()
        assert reading.result().user_id == two.id


def test_a_write_without_an_answer_that_is_written_over_may_have_been_made(app: Application, proxy: FaultProxy) -> None:
    with opened(app) as router, opened(app, proxy.endpoint_url) as slow, ThreadPoolExecutor(1) as thread:
        organizations, slowly = (Repository(each, "ORGANIZATION", app.sessions) for each in (router, slow))
        put(organizations, organization(organizations))

        def write_over(name: str) -> None:
            """Writes while another write, which was not served, waits to be sent again."""
            waiting = proxy.seen["PutItem"] + 2
            proxy.inject(Hold(), on="PutItem", times=1)
            writing = thread.submit(put, slowly, slowly.get(id="org-1").model_copy(update={"name": "lost?"}))
            proxy.wait_for("PutItem", waiting)
            put(organizations, organizations.get(id="org-1").model_copy(update={"name": name}))
            proxy.release()
            writing.result()

        for when in ("after", "before"):
            proxy.inject(Cut(when), on="PutItem", times=1)
            with pytest.raises(UnavailableError, match="write ORGANIZATION") as raised:
                write_over(when)
            assert "not known whether it was written" in str(raised.value.safe)
        proxy.inject(throttle(), on="PutItem", times=1)
        with pytest.raises(ConflictError, match="has changed since it was read, in name"):
            write_over("throttled")
        assert organizations.get(id="org-1").name == "throttled"
