"""Which source of settings decides, and what is refused in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.errors import ConfigurationError
from migrator.settings import SDK_VARIABLES, FileSettings, load_settings, load_webhook

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    names = ["DATABASE_URL", *(f"MIGRATOR_{name.upper()}" for name in FileSettings.model_fields)]
    for name in [*names, *(variable for variables in SDK_VARIABLES.values() for variable in variables)]:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_nothing_set_leaves_everything_to_the_drivers() -> None:
    assert load_settings().model_dump() == {
        "database_url": None,
        "mappings": (),
        "profile": None,
        "region": None,
        "endpoint_url": None,
        "request_seconds": 10.0,
        "page_seconds": 300.0,
        "signature_seconds": 900.0,
        "clock_skew_seconds": 300.0,
        "lease_seconds": 5.0,
        "marks_bytes": 10 * 2**30,
        "gate_age_hours": 24.0,
        "gate_lag_seconds": 60.0,
        "gate_marks": 1_000,
        "history_days": 90,
        "webhook_url": None,
        "read_dollars_per_million": 0.125,
        "work_dir": None,
    }


def test_each_source_decides_before_the_next(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "pyproject.toml").write_text('[tool.migrator]\nmappings = "five"\nregion = "five"\nprofile = "five"\n')
    assert load_settings().mappings == ("five",)
    (directory / "migrator.toml").write_text('mappings = ["four", "also"]\nregion = "four"\n')
    assert load_settings().mappings == ("four", "also")
    (directory / ".env").write_text("MIGRATOR_MAPPINGS=three\nDATABASE_URL=postgresql://three/app\nUNRELATED=1\n")
    assert load_settings().mappings == ("three",)
    monkeypatch.setenv("MIGRATOR_MAPPINGS", "two, too")
    assert load_settings().mappings == ("two", "too")
    settings = load_settings(mappings=("one",), region=None)
    assert (settings.mappings, settings.region, settings.profile) == (("one",), "four", "five")


def test_an_empty_variable_is_not_set(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "migrator.toml").write_text('database_url = "postgresql://file/app"\n')
    monkeypatch.setenv("DATABASE_URL", "")
    url = load_settings().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://file/app"


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, variables in SDK_VARIABLES.items() for variable in variables]
)
def test_a_file_gives_way_to_the_sdk_variables(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    (directory / "migrator.toml").write_text(f'{name} = "from the file"\n')
    assert getattr(load_settings(), name) == "from the file"
    monkeypatch.setenv(variable, "for the SDK")
    assert getattr(load_settings(), name) is None
    assert getattr(load_settings(**{name: "an option"}), name) == "an option"


def test_no_form_of_the_settings_shows_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter2@db/app")
    settings = load_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("file", "content"),
    [("migrator.toml", 'mapings = "typo"\n'), ("pyproject.toml", '[tool.migrator]\nmapings = "typo"\n')],
)
def test_an_unknown_key_is_refused_by_name(directory: Path, file: str, content: str) -> None:
    (directory / file).write_text(content)
    with pytest.raises(ConfigurationError, match="`mapings` is not a setting") as refused:
        load_settings()
    assert file in refused.value.what
    assert refused.value.next_step is not None
    assert "`mappings`" in refused.value.next_step


def test_a_value_of_the_wrong_type_is_refused_unseen(directory: Path) -> None:
    (directory / "migrator.toml").write_text('database_url = ["hunter2"]\n')
    with pytest.raises(ConfigurationError, match="`database_url`") as refused:
        load_settings()
    assert "hunter2" not in f"{refused.value} {refused.value.next_step}"


def test_broken_toml_is_refused_with_file_and_line(directory: Path) -> None:
    (directory / "migrator.toml").write_text('region = "eu-west-1"\nmappings = [one\n')
    with pytest.raises(ConfigurationError, match=r"migrator\.toml is not valid TOML: .*line 2"):
        load_settings()


@pytest.mark.parametrize("file", ["migrator.toml", ".env"])
def test_a_file_that_is_not_text_is_refused_by_name(directory: Path, file: str) -> None:
    (directory / file).write_bytes(b'region = "\xff\xfe"\n')
    with pytest.raises(ConfigurationError, match=f"{file} cannot be read"):
        load_settings()


def test_another_tools_table_is_none_of_ours(directory: Path) -> None:
    (directory / "pyproject.toml").write_text('tool = "a plain value"\n')
    assert load_settings().mappings == ()


def test_who_is_told_is_known_whatever_else_is_wrong(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str | None:
        found = load_webhook()
        return None if found is None else found.get_secret_value()

    assert told() is None
    (directory / "pyproject.toml").write_text('[tool.migrator]\nwebhook_url = "five"\nnonsense = 1\n')
    assert told() == "five"
    (directory / "migrator.toml").write_text('webhook_url = "four"\nhistory_days = "many"\n')
    assert told() == "four"
    (directory / "migrator.toml").write_text("webhook_url = 4\n[")
    assert told() == "five"
    (directory / ".env").write_bytes(b"MIGRATOR_WEBHOOK_URL=\xff\n")
    assert told() is None
    monkeypatch.setenv("MIGRATOR_WEBHOOK_URL", "two")
    assert told() == "two"
