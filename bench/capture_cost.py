"""Server CPU that capture costs a writer per changed row, in bulk and by statements of a single row.

The same changes are made to the same table without any trigger, with a row trigger that does nothing, with one that
inserts a constant into a table without an index, with a plain row trigger that keeps `row_to_json` of the row, with
capture, and with capture and one index more on the marks, by which the marks of one row could be found. What is shown
is what each costs above the table without a trigger: the second is the least that a trigger in PL/pgSQL costs, and the
third the least that one costs which keeps anything.

The server is an embedded one; what is read is the CPU time of the one backend that serves the session
(/proc/<pid>/schedstat: Linux only). What the server does in the background, such as writing dirty pages, is not in it.

    python bench/capture_cost.py [--rows N] [--rounds N] [--only NAME...]
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from migrator.postgres import state
from migrator.postgres.capture import create_statements
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName
from migrator.sandbox import embedded_postgres

TABLE = """
DROP TABLE IF EXISTS tasks, plain;
CREATE TABLE tasks (
    id text PRIMARY KEY, user_id uuid NOT NULL, name text NOT NULL, status text NOT NULL, retry_count int NOT NULL,
    metadata jsonb, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
)
"""
PLAIN = """
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc json NOT NULL);
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO plain (doc) VALUES (row_to_json(OLD));
    ELSE
        INSERT INTO plain (doc) VALUES (row_to_json(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION keep()
"""
TRIGGER = """
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN {body} RETURN NULL; END $$;
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION keep()
"""
EMPTY = TRIGGER.format(body="")
KEPT = "CREATE TABLE plain (doc text NOT NULL)"
CONSTANT = ";".join((KEPT, TRIGGER.format(body="INSERT INTO plain VALUES ('x');")))
CAPTURE = ";".join(create_statements(TableName("tasks"), ["id", "user_id"]))
PEERS = {
    "no trigger": "",
    "empty": EMPTY,
    "constant": CONSTANT,
    "row_to_json": PLAIN,
    "capture": CAPTURE,
    "  + hash (row_key)": f"{CAPTURE};CREATE INDEX found ON migrator.marks USING hash (row_key)",
    "  + btree (source, row_key)": f"{CAPTURE};CREATE INDEX found ON migrator.marks (source, row_key)",
}
ROW = """'task-' || i, md5(i::text)::uuid, 'name of task ' || i, 'open', 0, '{"labels": ["a", "b"]}', now(), now()"""
BULK = {
    "insert": "INSERT INTO tasks SELECT {row} FROM generate_series(1, {rows}) AS i",
    "update": "UPDATE tasks SET status = 'done', updated_at = now()",
    "move": "UPDATE tasks SET user_id = md5(id)::uuid",
    "delete": "DELETE FROM tasks",
}
SINGLE = {
    "insert": f"INSERT INTO tasks SELECT {ROW} FROM (SELECT $1::int AS i) AS number",  # noqa: S608 - constants above
    "update": "UPDATE tasks SET status = 'done', updated_at = now() WHERE id = 'task-' || $1::int",
    "move": "UPDATE tasks SET user_id = md5(id)::uuid WHERE id = 'task-' || $1::int",
    "delete": "DELETE FROM tasks WHERE id = 'task-' || $1::int",
}


def cpu(pid: int) -> float:
    """The CPU seconds that a process has used, in user and kernel mode."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


async def prepare(connection: Any, peer: str) -> None:  # noqa: ANN401 - asyncpg has no types
    """An empty table, with what the peer has on it and nothing left of the one before."""
    await connection.execute(TABLE)
    await connection.execute("TRUNCATE migrator.marks, migrator.captures; DROP INDEX IF EXISTS migrator.found")
    await connection.execute(PEERS[peer] or "SELECT")
    await connection.execute("CHECKPOINT")


async def measure(connection: Any, pid: int, rows: int) -> dict[str, float]:  # noqa: ANN401 - asyncpg has no types
    """The CPU of each kind of change per row, in microseconds."""
    taken = {}
    for name, statement in BULK.items():
        before = cpu(pid)
        await connection.execute(statement.format(row=ROW, rows=rows))
        taken[f"bulk {name}"] = (cpu(pid) - before) / rows * 1e6
    numbers = [(number,) for number in range(1, rows + 1)]
    for name, statement in SINGLE.items():
        before = cpu(pid)
        # Each is a statement of its own, all in one transaction: what committing costs is not capture's affair.
        await connection.executemany(statement, numbers)
        taken[f"single {name}"] = (cpu(pid) - before) / rows * 1e6
    return taken


async def run(url: str, peers: list[str], rows: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The figures of every peer, the peers taking turns."""
    figures: dict[str, dict[str, list[float]]] = {peer: {} for peer in peers}
    installing = await connect(url, purpose="bench")
    await state.install(installing)
    await installing.close()
    for _ in range(rounds):
        # In another order each time: who comes after whom has a part in it.
        for peer in random.sample(peers, len(peers)):
            connection = await asyncpg.connect(url)
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await prepare(connection, peer)
            for name, value in (await measure(connection, pid, rows)).items():
                figures[peer].setdefault(name, []).append(value)
            await connection.close()
    return figures


def main() -> None:
    """Measures every peer in turn, several times, and prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--only", nargs="+", choices=PEERS, help="measure these beside the table without a trigger")
    chosen = options.parse_args()
    peers = list(PEERS) if chosen.only is None else ["no trigger", *chosen.only]
    with embedded_postgres() as server:
        figures = asyncio.run(run(server.url, peers, chosen.rows, chosen.rounds))
    print(f"server CPU per changed row in us, {chosen.rounds} times {chosen.rows:,} rows, median (least);")
    print("beside the table without a trigger, what is added to it")
    for form in ("bulk", "single"):
        names = [name for name in figures["no trigger"] if name.startswith(form)]
        print(f"\n{form:28}" + "".join(f"{name.removeprefix(form).strip():>15}" for name in names))
        for peer, found in figures.items():
            print(f"{peer:28}" + "".join(f"{shown(found[name], figures['no trigger'][name]):>15}" for name in names))


def shown(values: list[float], base: list[float]) -> str:
    """The median of the values and the least of them, above those of the base where it is another's."""
    if values is base:
        return f"{median(values):.1f} ({min(values):.1f})"
    return f"{median(values) - median(base):.1f} ({min(values) - min(base):.1f})"


if __name__ == "__main__":
    main()
