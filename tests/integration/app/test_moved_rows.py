"""A row that gets another key between the two requests of a read is found, as it is before and after."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.app.repository import Repository
from tests.integration.app.test_repository import NOW, user
from tests.integration.app.test_writing import opened, put

if TYPE_CHECKING:
    from aiohttp import web

    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy
    from tests.support.faults import Exchange


@dataclass(frozen=True)
class Hold:
    """Deal with the request as usual, when the test releases it."""

    def fits(self, operation: str) -> bool:
        return operation == "BatchGetItem"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await exchange.released.wait()
        return exchange.answer(await exchange.forward(exchange.body))


def test_a_row_that_moves_while_it_is_read_is_found(app: Application, proxy: FaultProxy) -> None:
    with opened(app) as router, opened(app, proxy.endpoint_url) as slow, ThreadPoolExecutor(1) as thread:
        users = Repository(router, "USER", app.sessions)
        one, two = put(users, user(users, 1), user(users, 2))
        repositories = Repository(router, "REPOSITORY", app.sessions)
        [owned] = put(repositories, repositories.record(id="r", user_id=one.id, created_at=NOW, updated_at=NOW))
        proxy.inject(Hold(), times=1)
        reading = thread.submit(Repository(slow, "REPOSITORY", app.sessions).get, id="r")
        proxy.wait_for("BatchGetItem", 1)
        put(repositories, owned.model_copy(update={"user_id": two.id}))
        proxy.release()
        assert reading.result().user_id == two.id
