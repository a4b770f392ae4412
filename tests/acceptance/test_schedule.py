"""`migrate schedule`: each scheduler's files are taken by the scheduler's own tool."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import cfnlint
import kubernetes_validate
import pytest
import yaml

from tests.support.programs import program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.project import Project

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/migrator:1.0"
SECRET = "postgresql://shop:hidden-word@db/shop"  # noqa: S105 - that it is not shown is what is tested
TIMES = [["--every", "5m"], ["--every", "6h"], ["--at", "03:30"]]


@pytest.fixture
def offline(project: Project) -> Project:
    """No store can be reached, and the address of one is a secret."""
    return project.through(
        DATABASE_URL=SECRET,
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        MIGRATOR_WEBHOOK_URL="https://example.org/hidden-word",
    )


def written(project: Project, *arguments: str) -> Mapping[str, str]:
    """The files that the command writes, by name."""
    done = project.here("schedule", *arguments, "--output", "files").succeeded()
    files = {path.name: path.read_text() for path in (project.directory / "files").iterdir()}
    assert all("hidden-word" not in text for text in [done.out, done.err, *files.values()])
    for path in (project.directory / "files").iterdir():
        path.unlink()
    return files


def complaints(template: str) -> list[str]:
    """The errors and warnings of cfn-lint; what else it says is advice."""
    found = [str(each) for each in cfnlint.lint_all(template)]
    return [each for each in found if not each.startswith("[I")]


def test_a_crontab_is_one_to_cron(offline: Project, tmp_path: Path) -> None:
    own = tmp_path / "crontab"
    for times in TIMES:
        files = written(offline, "cron", *times, "--verify", "--max-rcu 20", "--directory", "/srv/100%/shop")
        *_, line = files["migrate-verify"].splitlines()
        fields = line.split(maxsplit=6)
        assert fields[5] == "migrator"
        command = fields[6]
        assert "flock --nonblock --conflict-exit-code 7 " in command
        assert "/srv/100\\%/shop" in command
        assert command.endswith(".venv/bin/migrate verify --mappings shop --no-input --max-rcu 20")
        # What a user's own crontab holds is the same without the user.
        own.write_text(files["migrate-verify"].replace(f" {fields[5]} {command}", f" {command}"))
        shell = subprocess.run(["/bin/sh", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert shell.returncode == 0, shell.stderr
    crontab = program("crontab", "cron")
    checked = subprocess.run([crontab, "-n", str(own)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    own.write_text(own.read_text().replace("30 3 *", "30 33 *"))
    assert subprocess.run([crontab, "-n", str(own)], capture_output=True, check=False).returncode != 0


def test_units_are_ones_to_systemd(offline: Project, tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    (tmp_path / "bin").mkdir()
    for times in TIMES:
        files = written(offline, "systemd", *times, "--user", "root", "--directory", str(tmp_path))
        assert "Type=oneshot" in files["migrate-verify.service"]
        assert "EnvironmentFile=/etc/migrate-verify.env" in files["migrate-verify.service"]
        (calendar,) = [line for line in files["migrate-verify.timer"].splitlines() if line.startswith("OnCalendar=")]
        subprocess.run([analyze, "calendar", calendar.partition("=")[2]], check=True, capture_output=True)
        # systemd looks whether the program is there.
        there = tmp_path / ".venv" / "bin" / "migrate"
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("#!/bin/sh\n")
        there.chmod(0o755)
        units = tmp_path / "units"
        units.mkdir(exist_ok=True)
        for name, text in files.items():
            (units / name).write_text(text)
        checked = subprocess.run(
            [analyze, "verify", "--man=no", *map(str, sorted(units.iterdir()))],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
        assert "migrate-verify" not in checked.stderr


def test_a_manifest_is_one_to_kubernetes(offline: Project) -> None:
    manifest: dict[str, Any] = {}
    for times in TIMES:
        files = written(
            offline, "kubernetes", *times, "--image", IMAGE, "--namespace", "shop", "--service-account", "v"
        )
        manifest = yaml.safe_load(files["migrate-verify.yaml"])
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        assert manifest["spec"]["concurrencyPolicy"] == "Forbid"
        pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"] == ["verify", "--mappings", "shop", "--no-input"]
        assert container["envFrom"] == [{"secretRef": {"name": "migrate-verify"}}]
        assert (pod["serviceAccountName"], container["image"]) == ("v", IMAGE)
    manifest["spec"]["concurrencyPolicies"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_template_is_one_to_cloudformation(offline: Project) -> None:
    files: Mapping[str, str] = {}
    for times in TIMES:
        files = written(offline, "eventbridge", *times, "--image", IMAGE)
        assert complaints(files["migrate-verify.template.json"]) == []
    template = json.loads(files["migrate-verify.template.json"])
    policy = json.loads(files["migrate-verify.policy.json"])
    (statement,) = policy["Statement"]
    assert statement["Resource"] == [
        f"arn:aws:dynamodb:*:*:table/{offline.table}",
        f"arn:aws:dynamodb:*:*:table/{offline.table}/index/*",
    ]
    assert not any(word in action for action in statement["Action"] for word in ("Put", "Delete", "Write", "*"))
    resources = template["Resources"]
    (own,) = resources["TaskRole"]["Properties"]["Policies"]
    assert own["PolicyDocument"]["Statement"][0]["Action"] == statement["Action"]
    (container,) = resources["Task"]["Properties"]["ContainerDefinitions"]
    assert {each["Name"] for each in container["Secrets"]} == {"DATABASE_URL", "MIGRATOR_WEBHOOK_URL"}
    template["Resources"]["Schedule"]["Properties"]["Colour"] = "red"
    assert complaints(json.dumps(template))


def test_a_repair_may_write(offline: Project) -> None:
    files = written(offline, "eventbridge", "--image", "shop:1", "--verify", "--repair --yes")
    (statement,) = json.loads(files["migrate-verify.policy.json"])["Statement"]
    assert {"dynamodb:PutItem", "dynamodb:DeleteItem"} <= set(statement["Action"])


def test_stdout_is_the_file(offline: Project) -> None:
    shown = offline.here("schedule", "eventbridge", "--image", "shop:1").succeeded()
    assert json.loads(shown.out)["Resources"]
    shown = offline.migrate("schedule", "kubernetes", "--image", "shop:1", "--region", "eu-west-1").succeeded()
    manifest = yaml.safe_load(shown.out)
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    (container,) = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-3:] == ["--region", "eu-west-1", "--no-input"]


def test_what_cannot_be_scheduled_is_refused(offline: Project) -> None:
    for words, why in (
        (["cron", "--every", "7m"], "minutes that divide an hour"),
        (["cron", "--every", "5m", "--at", "03:30"], "--every excludes --at"),
        (["cron", "--at", "25:00"], "no time of the day"),
        (["cron", "--timezone", "Europe/Zurich"], "--timezone means nothing to cron"),
        (["systemd", "--at", "03:30", "--timezone", "Mars/Base"], "no time zone"),
        (["systemd", "--directory", "relative"], "cannot be used in a schedule"),
        (["systemd", "--user", "root\nExecStart=/bin/x"], "cannot be used in a schedule"),
        (["kubernetes"], "none is named"),
        (["kubernetes", "--image", "shop:1\n"], "cannot be used in a schedule"),
        (["kubernetes", "--image", "shop:1", "--name", "A B"], "cannot be used in a schedule"),
        (["cron", "--verify", "--every 5m"], "the scheduler's affair"),
        (["cron", "--verify", "--repair"], "cannot ask before a repair"),
        (["cron", "--verify", "--no-such-option"], "No such option"),
        (["cron", "--verify", "'"], "cannot be read"),
        (["anacron"], "anacron"),
    ):
        offline.here("schedule", *words).failed(2, why)


def test_files_that_are_there_are_left(offline: Project) -> None:
    (offline.directory / "migrate-verify").write_text("mine")
    offline.here("schedule", "cron", "--output", ".").failed(4, "migrate-verify cannot be written: File exists")
    assert (offline.directory / "migrate-verify").read_text() == "mine"
