"""The reference mix: invented rows of `miyabi`, for the demo, the tests and the benchmarks.

The same seed and start give the same rows. Nothing is remembered from one row to the next: an id is computed from the
row's number, so that a child names its parent without a list of parents, and any number of rows takes the memory of one
batch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from json import dumps
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

from mappings.miyabi.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

# Characters in a message, a description or a content, on average. The size of an item follows from it: about 790 bytes
# of wire JSON.
TEXT_LENGTH: Final = 425

BATCH: Final = 5_000

# Thousandths of all rows; parents stand before their children. What rounding leaves over goes to execution_logs.
SHARES: Final = {
    "organizations": 1,
    "users": 15,
    "organization_members": 12,
    "repositories": 15,
    "agent_executions": 100,
    "workflows": 4,
    "tasks": 140,
    "task_dependencies": 20,
    "websocket_connections": 3,
    "line_messages": 90,
    "execution_logs": 600,
}

# Below this, a table would have no row, or a task nothing to depend on.
FEWEST: Final = 20

# Rows are at most this old, well under the 30 days after which a message or a log expires.
_AGE: Final = 20 * 86_400  # seconds
# An execution, and all that it logs, is over after this time at the latest.
_RUN: Final = 3_600  # seconds
# An odd number of 128 bits without a pattern (the golden ratio's): multiplying by it scatters neighbours.
_SPREAD: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835

# The share of NULL in a column that allows it.
_NULLS: Final = 0.125

# The share of JSON objects that are flat.
_FLAT: Final = 0.75

_AGENTS: Final = ("codegen", "review", "pr", "issue", "deploy", "test")
_STATUSES: Final = ("pending", "running", "completed", "failed")
# A member's role and what it permits.
_ROLES: Final[tuple[tuple[str | None, list[str]], ...]] = (
    ("admin", ["read", "write", "admin"]),
    ("maintainer", ["read", "write"]),
    ("member", ["read"]),
    ("guest", []),
    (None, []),
)
# Every width that a fraction of a second can have.
_FRACTIONS: Final = (0, 0, 500_000, 120_000, 7_000, 123_456, 999_999, 1)

_PHRASES: Final = (
    'Started code generation for issue "#123" with the agent\'s defaults',
    "Traceback (most recent call last):\n  File \"agent.py\", line 42, in run\n    raise ValueError('\\d+')\n",
    "C:\\builds\\new\\table\\u0041 was not found; using /var/lib/agent instead",
    "name\tstatus\tseconds\nlint\tok\t3.25\ntest\tfailed\t118.5\n",
    '{"nested": "text that looks like JSON", "n": 1e400, "null": null}',
    "コードレビューを開始しました。結果は「承認」です。",
    "Déjà vu: cafe\u0301 (combining) is not café (composed); Å is not A\u030a",
    "🚀 deployed by 👩‍💻, reviewed by 🇯🇵 👍🏽, rolled back ⏪",
    "مرحبا بالعالم — שלום עולם — Привет, мир",
    "<script>alert('no')</script> & DROP TABLE users; -- %s %(name)s {braces} $1",
    "line one\r\nline two\u2028line three\u00a0and no-break space\u200b",
    "the tests passed in the second attempt, after the cache had been emptied",
    "waiting for the pull request to be merged by a maintainer of the repository",
    "beyond the basic plane: \U0001d518\U0001d52b\U0010fffd; control characters: \x01\x1f\x7f",
)

_DETAILS: Final = (
    '{"retry":null,"cached":false,"tags":[]}',
    '{"tags":["自動","quoted \\"word\\""],"position":{"line":42,"column":7.5},"empty":{}}',
    '{"limits":{"tokens":128000,"budget":1.10},"path":[{"step":1},{"step":2,"note":""}]}',
    '[[1,[2,[3]]],{"ratio":-0.000012345678901234567890}]',
)

_V = TypeVar("_V")


class Batch(NamedTuple):
    """Rows of one table, ready for `COPY`: jsonb as JSON text, everything else as the driver's own Python value."""

    table: str
    columns: tuple[str, ...]
    records: list[tuple[object, ...]]


def counts(total: int) -> dict[str, int]:
    """Rows per table of a mix of `total` rows, in the order in which they can be loaded.

    Raises:
        ValueError: `total` is too small to hold every table.
    """
    if total < FEWEST:
        raise ValueError(f"The reference mix needs at least {FEWEST} rows to hold every table, not {total}.")
    result = {table: max(1, total * share // 1000) for table, share in SHARES.items()}
    result["execution_logs"] += total - sum(result.values())
    return result


def rows(total: int, seed: int, start: datetime) -> Iterator[Batch]:
    """The reference mix: `total` rows over all eleven tables, parents before their children.

    Args:
        total: Rows over all tables together.
        seed: Same seed, same rows. Mixes of two seeds can stand in one database.
        start: When the run starts. Rows were made in the 20 days before; what expires, expires at least 10 days (a
            WebSocket connection: 22 hours) after it.

    Raises:
        ValueError: `total` is too small to hold every table, or `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError("The start of the run needs a time zone.")
    mix = _Mix(counts(total), seed, start.astimezone(UTC).replace(microsecond=0))
    for table in SHARES:
        columns = tuple(metadata.tables[table].columns.keys())
        records = mix.records(table)
        while batch := list(islice(records, BATCH)):
            yield Batch(table, columns, batch)


class _Mix:
    """One mix: how many rows each table has, when the run starts, and what its seed decides for all tables."""

    def __init__(self, counts: dict[str, int], seed: int, start: datetime) -> None:
        self._counts = counts
        self._seed = seed
        self._start = start
        random = Random(seed)  # noqa: S311 - sample rows guard no secret
        self._salt = random.getrandbits(64)
        self._corpus = " ".join(random.choices(_PHRASES, k=1000))

    def records(self, table: str) -> Iterator[tuple[object, ...]]:
        """The rows of one table, values in the order of its columns."""
        record = {
            "organizations": self._organization,
            "users": self._user,
            "organization_members": self._organization_member,
            "repositories": self._repository,
            "agent_executions": self._agent_execution,
            "workflows": self._workflow,
            "tasks": self._task,
            "task_dependencies": self._task_dependency,
            "websocket_connections": self._websocket_connection,
            "line_messages": self._line_message,
            "execution_logs": self._execution_log,
        }[table]
        # Randomness of its own for each table: a change to one leaves the rows of the others as they were.
        random = Random(f"{self._seed} {table}")  # noqa: S311 - as above
        return (record(number, random) for number in range(self._counts[table]))

    def _organization(self, number: int, random: Random) -> tuple[object, ...]:
        agents = ",".join(f'"{agent}"' for agent in _AGENTS[: 1 + number % len(_AGENTS)])
        settings = f'{{"allowedAgents":[{agents}],"maxConcurrentExecutions":{1 + number % 20}}}'
        return (
            self._id("org", number),
            self._text(random, 20),
            _mostly(random, self._number(number)),
            _mostly(random, random.choice(("free", "team", "enterprise"))),
            _mostly(random, f"billing@org{number}.example"),
            _mostly(random, settings),
            *self._lifetime(random),
        )

    def _user(self, number: int, random: Random) -> tuple[object, ...]:
        organization = self._organization_of(number)
        role, _ = _ROLES[number % len(_ROLES)]
        return (
            self._user_id(number),
            self._number(number),
            _mostly(random, f"user{number}@mail.example"),
            _mostly(random, self._text(random, 20)),
            _mostly(random, f"https://avatars.example/u/{number}?s=400&v=4"),
            _mostly(random, f"token-{random.getrandbits(160):040x}"),
            organization,
            None if organization is None else role,
            *self._lifetime(random),
        )

    def _organization_member(self, number: int, random: Random) -> tuple[object, ...]:
        role, permissions = _ROLES[number % len(_ROLES)]
        joined_at, _ = self._lifetime(random)
        return (
            self._organization_of(number),
            self._user_id(number),
            role,
            _mostly(random, permissions),
            joined_at,
        )

    def _repository(self, number: int, random: Random) -> tuple[object, ...]:
        owner = self._any(random, "users")
        name, full_name = f"service-{number}", f"user{owner}/service-{number}"
        return (
            self._id("repo", number),
            self._user_id(owner),
            _mostly(random, self._organization_of(owner)),
            _mostly(random, self._number(number)),
            _mostly(random, f"user{owner}"),
            _mostly(random, name),
            _mostly(random, full_name),
            _mostly(random, number % 10 > 0),
            *self._lifetime(random),
        )

    def _agent_execution(self, number: int, random: Random) -> tuple[object, ...]:
        started_at = self._started_at(number)
        status = random.choice(_STATUSES)
        completed_at = summary = score = pull_request = None
        if status in {"completed", "failed"}:
            completed_at = self._during(started_at, random)
            summary = self._document(random, "summary", self._text(random, TEXT_LENGTH))
        if status == "completed":
            score = Decimal(random.randrange(10_001)).scaleb(-2)
            pull_request = _mostly(random, 1 + random.randrange(9_999))
        return (
            self._id("exec", number),
            self._id("repo", self._any(random, "repositories")),
            _mostly(random, 1 + random.randrange(9_999)),
            random.choice(_AGENTS),
            status,
            started_at,
            completed_at,
            summary,
            score,
            pull_request,
            started_at,
            completed_at or started_at,
        )

    def _workflow(self, number: int, random: Random) -> tuple[object, ...]:
        steps = _AGENTS[: 1 + number % len(_AGENTS)]
        nodes = ",".join(f'{{"id":"{step}"}}' for step in steps)
        edges = ",".join(f'["{one}","{other}"]' for one, other in pairwise(steps))
        return (
            self._id("workflow", number),
            self._id("repo", self._any(random, "repositories")),
            _mostly(random, self._text(random, 20)),
            _mostly(random, "" if number % 10 == 0 else self._text(random, TEXT_LENGTH)),
            _mostly(random, f'{{"nodes":[{nodes}],"edges":[{edges}]}}'),
            _mostly(random, number % 10 > 0),
            *self._lifetime(random),
        )

    def _task(self, number: int, random: Random) -> tuple[object, ...]:
        return (
            self._id("task", number),
            self._user_id(self._any(random, "users")),
            _mostly(random, self._id("repo", self._any(random, "repositories"))),
            self._text(random, 40),
            _mostly(random, self._text(random, TEXT_LENGTH)),
            _mostly(random, f"P{random.randrange(4)}"),
            random.choice(_STATUSES),
            _mostly(random, random.choice(_AGENTS)),
            _mostly(random, 1 + random.randrange(9_999)),
            _mostly(random, random.randrange(4)),
            _mostly(random, 3),
            _mostly(random, self._document(random, "estimatedDuration", f"{random.randrange(1, 90)}m")),
            *self._lifetime(random),
        )

    def _task_dependency(self, number: int, random: Random) -> tuple[object, ...]:
        # Two to a task, and always on a later one, so that no task waits for itself.
        task = number // 2
        created_at, _ = self._lifetime(random)
        return self._id("task", task), self._id("task", task + 1 + number % 2), created_at

    def _websocket_connection(self, number: int, random: Random) -> tuple[object, ...]:
        connected_at = self._ago(1 + random.randrange(7_200), random)
        return (
            self._id("connection", number),
            self._user_id(self._any(random, "users")),
            connected_at,
            _mostly(random, max(connected_at, self._ago(1 + random.randrange(60), random))),
            _mostly(random, int(connected_at.timestamp()) + 86_400),
        )

    def _line_message(self, number: int, random: Random) -> tuple[object, ...]:
        kind = random.choice(("text", "text", "text", "text", "image", "sticker"))
        created_at, _ = self._lifetime(random)
        return (
            self._id("msg", number),
            self._user_id(self._any(random, "users")),
            _mostly(random, f"U{random.getrandbits(128):032x}"),
            _mostly(random, kind),
            self._text(random, TEXT_LENGTH) if kind == "text" else None,
            _mostly(random, self._document(random, "replyToken", f"{random.getrandbits(128):032x}")),
            created_at,
        )

    def _execution_log(self, number: int, random: Random) -> tuple[object, ...]:
        execution = self._any(random, "agent_executions")
        return (
            self._id("log", number),
            self._id("exec", execution),
            _mostly(random, random.choice(("DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR"))),
            _mostly(random, self._text(random, TEXT_LENGTH)),
            None if number % 5 == 0 else self._document(random, "module", "agent_executor"),
            self._during(self._started_at(execution), random),
        )

    def _organization_of(self, user: int) -> str | None:
        """The users that a membership names are the first ones: each has one, the rest have none."""
        if user >= self._counts["organization_members"]:
            return None
        return self._id("org", user % self._counts["organizations"])

    def _any(self, random: Random, table: str) -> int:
        """The number of some row. A few rows come often and most seldom, as a few repositories do most of the work."""
        return int(self._counts[table] * random.random() ** 2)

    def _scrambled(self, number: int) -> int:
        """64 bits that no other number gives, as the factor is odd."""
        return (number * _SPREAD + self._salt) % 2**64

    def _id(self, kind: str, number: int) -> str:
        return f"{kind}-{self._scrambled(number):016x}"

    def _user_id(self, number: int) -> UUID:
        # The low 62 bits, which the version leaves alone, differ for any two numbers.
        return UUID(int=self._scrambled(number) * _SPREAD % 2**128, version=4)

    def _number(self, number: int) -> int:
        """An id as GitHub gives it: unique, and small enough for bigint."""
        return self._scrambled(number) % 2**48

    def _text(self, random: Random, length: int) -> str:
        """Some text of half to one and a half times `length` characters."""
        length = int(length * (0.5 + random.random()))
        begin = int((len(self._corpus) - length) * random.random())
        return self._corpus[begin : begin + length]

    def _document(self, random: Random, key: str, value: str) -> str:
        """A JSON object with `key`.

        Most are small and flat, as those of the reference are. About every fourth has what JSON can hold: any nesting,
        decimals, integers that no float can.
        """
        members = f'"{key}":{dumps(value, ensure_ascii=False)}'
        if random.random() < _FLAT:
            return f'{{{members},"function":"execute","attempt":{1 + random.randrange(5)}}}'
        return (
            f'{{{members},"durationMs":{random.random() * 10_000:.3f},'
            f'"traceId":{random.getrandbits(100)},"detail":{random.choice(_DETAILS)}}}'
        )

    def _lifetime(self, random: Random) -> tuple[datetime, datetime]:
        """When a row was made and when it was last changed."""
        age = 1 + random.randrange(_AGE)
        created_at = self._ago(age, random)
        return created_at, max(created_at, self._ago(1 + random.randrange(age), random))

    def _ago(self, seconds: int, random: Random) -> datetime:
        return self._start - timedelta(seconds=seconds, microseconds=-random.choice(_FRACTIONS))

    def _started_at(self, execution: int) -> datetime:
        """When an execution started: a function of its number, so that its logs know it too."""
        age = _RUN + (_AGE - _RUN) * (self._counts["agent_executions"] - execution) // self._counts["agent_executions"]
        return self._start - timedelta(seconds=age, microseconds=-_FRACTIONS[execution % len(_FRACTIONS)])

    @staticmethod
    def _during(started_at: datetime, random: Random) -> datetime:
        """Some instant of an execution after its start."""
        later = started_at + timedelta(seconds=1 + random.randrange(_RUN - 1))
        return later.replace(microsecond=random.choice(_FRACTIONS))


def _mostly(random: Random, value: _V) -> _V | None:
    """The value, or for some rows NULL."""
    return value if random.random() >= _NULLS else None
