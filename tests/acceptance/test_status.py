"""`migrate status`: where a migration stands, at each of its steps."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.project import Project


def standing(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    assert model["name"] == "shop"
    assert model["phase"] == "prepare"
    found: dict[str, Any] = model
    return found


def test_each_step_leads_to_the_next(project: Project) -> None:
    at_first = standing(project)
    assert at_first["schema_version"] == 0
    assert at_first["tables"] == [{"table": project.table, "status": None, "changes": [], "problem": None}]
    assert at_first["next"] == ["migrate prepare"]
    shown = project.migrate("status").succeeded().out
    assert "toolkit's schema: not installed" in shown
    assert f"table {project.table}: does not exist" in shown
    assert "next: migrate prepare" in shown

    project.here("prepare").succeeded()
    assert standing(project)["next"] == ["migrate copy"]

    project.here("copy", "customers").succeeded()
    partly = standing(project)
    assert [source["finished_at"] is not None for source in partly["sources"]] == [True, False]
    assert partly["next"] == ["migrate copy"]

    project.here("copy").succeeded()
    assert standing(project)["next"] == ["migrate verify"]

    project.here("verify", "orders").succeeded()
    of_one = standing(project)
    assert of_one["verification"]["without"] == ["customers"]
    assert of_one["next"] == ["migrate verify"]

    project.here("verify").succeeded()
    proven = standing(project)
    assert proven["verification"]["clean"]
    assert proven["verification"]["outdated"] is None
    assert proven["next"] == []
    shown = project.here("status").succeeded().out
    assert "shop: phase prepare" in shown
    assert f"table {project.table}: ACTIVE" in shown
    assert "verification: equal at " in shown
    assert "next: nothing" in shown


def test_a_verification_counts_until_something_has_changed(prepared: Project) -> None:
    prepared.here("copy").succeeded()
    prepared.here("verify").succeeded()
    prepared.here("copy").succeeded()
    assert standing(prepared)["verification"]["outdated"] is None
    prepared.here("copy", "--restart", "-y", "orders").succeeded()
    copied_again = standing(prepared)
    assert copied_again["verification"]["outdated"] == "orders: copied since"
    assert copied_again["next"] == ["migrate verify"]
    prepared.edit('Attribute("token"', 'Attribute("secret"')
    changed = standing(prepared)
    assert changed["verification"]["outdated"] == "it was made under another mapping"
    assert [source["stale"] for source in changed["sources"]] == [True, False]
    assert changed["next"] == ["migrate copy --restart customers"]
    assert "outdated (it was made under another mapping)" in prepared.here("status").succeeded().out


def test_a_target_that_is_not_as_declared(prepared: Project) -> None:
    prepared.edit("indexes=(Index(", 'indexes=(Index("ByToken", S("Token")), Index(')
    found = standing(prepared)
    assert found["next"] == ["migrate prepare"]
    (change,) = found["tables"][0]["changes"]
    assert change.startswith("add index ByToken")
    assert "ACTIVE; not as declared: add index ByToken" in prepared.here("status").succeeded().out


def test_watch_shows_it_until_ctrl_c(prepared: Project) -> None:
    with prepared.start("status", "--watch") as process:
        seen = 0
        for line in process.stdout:
            seen += line == "shop: phase prepare\n"
            if seen == 2:
                break
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert shown.startswith("warning: ")
    assert "error: interrupted." in shown
    assert "Traceback" not in shown
