"""How a run of the command line ends: its exit code, and what it says on stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import pytest
import rich_click as click

from migrator import errors
from migrator.cli import run
from migrator.cli.group import COMMANDS
from migrator.cli.options import change_options, common_options, confirm, target_options
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.cli.invocation import Invocation

    Serve: TypeAlias = Callable[[Callable[[], object]], None]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Make `migrate probe` run a function."""

    def install(function: Callable[[], object]) -> None:
        @click.command("probe")
        @common_options
        def command() -> object:
            return function()

        module = ModuleType("migrator.cli.probe")
        module.__dict__["command"] = command
        monkeypatch.setitem(COMMANDS, "probe", "Do what the test says.")
        monkeypatch.setitem(sys.modules, "migrator.cli.probe", module)

    return install


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def function() -> NoReturn:
        raise error

    return function


def test_a_command_returns_its_exit_code(serve: Serve) -> None:
    serve(lambda: 3)
    assert run(["probe"]) == 3
    serve(lambda: None)
    assert run(["probe"]) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MigratorError, 1),
        (errors.UsageError, 2),
        (errors.ConfigurationError, 4),
        (errors.SourceError, 5),
        (errors.TargetError, 6),
        (errors.LockedError, 7),
        (errors.GateError, 8),
    ],
)
def test_an_expected_failure_is_three_sentences_and_a_code(
    serve: Serve, capsys: pytest.CaptureFixture[str], error: type[MigratorError], code: int
) -> None:
    serve(raising(error("It failed.", safe="All of it.", next_step="Try again.")))
    assert run(["probe"]) == code
    assert capsys.readouterr() == ("", "error: It failed.\nsafe: All of it.\nnext: Try again.\n")


def test_a_sentence_that_was_not_given_is_not_shown(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(raising(MigratorError("It failed.")))
    run(["probe"])
    assert capsys.readouterr().err == "error: It failed.\n"


def test_wrong_usage_is_2_and_leads_to_the_help(capsys: pytest.CaptureFixture[str], serve: Serve) -> None:
    serve(lambda: 0)
    assert run(["probe", "--colour"]) == 2
    assert capsys.readouterr().err == "error: No such option '--colour'.\nnext: migrate probe --help\n"
    assert run(["prob"]) == 2
    assert "next: migrate --help" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "lint" in capsys.readouterr().err


def test_tasks_that_fail_together_are_reported_once(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    inner = ExceptionGroup("tasks", [errors.TargetError("The first."), errors.SourceError("The second.")])
    serve(raising(ExceptionGroup("tasks", [inner])))
    assert run(["probe"]) == 6
    assert capsys.readouterr().err == "error: The first.\n"


def test_a_fault_among_tasks_that_fail_is_not_hidden(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(raising(ExceptionGroup("tasks", [errors.TargetError("The first."), KeyError("the fault")])))
    assert run(["probe", "--debug"]) == 1
    assert "KeyError: 'the fault'" in capsys.readouterr().err


def test_an_unexpected_failure_is_one_sentence_and_a_file(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    serve(raising(KeyError("hunter2")))
    assert run(["probe"]) == 1
    [path] = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        "error: migrate failed in a way that it does not know: KeyError.\n"
        f"next: The traceback is in {path}; --debug shows it. Please report it.\n"
    )
    assert "KeyError: 'hunter2'" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0


def test_debug_shows_the_traceback_and_writes_no_file(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(raising(KeyError("why")))
    assert run(["probe", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last):" in shown
    assert "is in" not in shown


def test_a_traceback_that_cannot_be_written_is_not_another_failure(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/does/not/exist")
    serve(raising(KeyError("why")))
    assert run(["probe"]) == 1
    assert "next: Run it again with --debug" in capsys.readouterr().err


def test_ctrl_c_is_130(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(raising(KeyboardInterrupt()))
    assert run(["probe"]) == 130
    assert capsys.readouterr().err.startswith("error: interrupted.\nsafe: What was settled stays.\n")


class Terminal:
    """A stdin on which somebody answers, or presses Ctrl-C."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        if self.answer is None:
            raise KeyboardInterrupt
        return self.answer


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1), (None, 130)])
def test_a_question_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str | None, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    serve(lambda: confirm("Start again?", yes=False, no_input=False))
    assert run(["probe"]) == code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--yes"], 0), (["-y", "--no-input"], 0), (["--no-input"], 2), ([], 2)]
)
def test_where_nobody_can_be_asked_only_yes_confirms(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, arguments: list[str], code: int
) -> None:
    @click.command("probe")
    @change_options
    @target_options
    @click.pass_obj
    def command(invocation: Invocation, *, dry_run: bool, yes: bool, no_input: bool) -> None:
        assert not dry_run
        assert invocation.settings == {"region": "eu-west-1"}
        confirm("Start again?", yes=yes, no_input=no_input)

    serve(lambda: 0)
    monkeypatch.setattr(sys.modules["migrator.cli.probe"], "command", command)
    with open(os.devnull) as nobody:  # noqa: PTH123  (a device)
        monkeypatch.setattr(sys, "stdin", nobody)
        assert run(["probe", "--region", "eu-west-1", *arguments]) == code


def test_debug_is_heeded_before_the_command_is_found(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(lambda: 0)
    monkeypatch.setattr(sys.modules["migrator.cli.probe"], "command", "text")
    assert run(["probe", "--debug"]) == 1
    assert "TypeError: migrator.cli.probe.command is not a click command" in capsys.readouterr().err


@contextmanager
def waiting(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `migrate lint` on a mapping module that says when it is imported, and then waits for a line."""
    (directory / "waiting.py").write_text(
        "import sys\n"
        "from migrator.mapping import Model\n"
        "print('imported', flush=True)\n"
        "sys.stdin.readline()\n"
        "MODEL = Model('waiting', ())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "migrator", "lint", "--mappings", "waiting"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "imported\n":
            pytest.fail(process.communicate()[1])
        yield process


def test_sigint_ends_the_process_with_130_and_no_traceback(tmp_path: Path) -> None:
    with waiting(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=30)
    assert process.returncode == 130
    assert shown.startswith("error: interrupted.")
    assert "Traceback" not in shown


def test_a_reader_that_has_gone_is_no_failure_to_report(tmp_path: Path) -> None:
    with waiting(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, shown = process.communicate("go on\n", timeout=30)
    assert (process.returncode, shown) == (1, "")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_is_coloured_unless_no_color_says_otherwise(no_color: str, *, coloured: bool) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "migrator", "no-such-command"]
    environment = os.environ | {"NO_COLOR": no_color, "TERM": "xterm"}
    subprocess.run(command, cwd=ROOT, env=environment, stderr=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert b"No such command" in shown
    assert (b"\x1b[" in shown) is coloured


def test_help_is_light() -> None:
    heavy = "{'aiohttp', 'alembic', 'asyncpg', 'boto3', 'botocore', 'pydantic', 'sqlalchemy', 'structlog'}"
    program = f"import sys; from migrator.cli import run; run(['--help']); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "lint" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "migrate, version 0.1.0\n"
