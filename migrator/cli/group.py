"""The group of commands: a command's module is imported when it runs, so that `migrate --help` answers at once."""

from __future__ import annotations

from importlib import import_module

import rich_click as click

import migrator

COMMANDS = {
    "lint": "Check the mappings, without any store.",
    "preview": "Show the items that rows become.",
    "prepare": "Create or complete the target tables, and install the toolkit's own schema in the source.",
    "copy": "Copy rows into items, going on where an earlier run has stopped.",
    "verify": "Prove that the target holds what the source asks for, and nothing else.",
    "switch": "Move on to the next phase, through its gates.",
    "relay": "Carry changes over into the target, and back where the target is written, until it is stopped.",
    "rehearse": "Prove the way back on a sample of rows: to their items, and from these back into their tables.",
    "rollback": "Move back to the phase before.",
    "complete": "End the migration: give up the way back, drop capture, sweep tombstones.",
    "status": "Show where the migration stands: phase, progress, verification, next steps.",
    "history": "Show past verifications, or what they found.",
    "schedule": "Print ready files for a scheduler that verifies regularly.",
    "demo": "Show a migration from nothing to its end, on embedded stores.",
}
"""Each command with its summary, in the order of a migration; `migrator.cli.<command>` defines it as `command`."""


class LazyGroup(click.RichGroup):
    """A group that knows the summaries of its commands, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102  (as in the base class)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return what the list of commands shows of a command."""
        summary = COMMANDS.get(cmd_name)
        return None if summary is None else click.RichCommand(name=cmd_name, help=summary)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


def load_command(name: str) -> click.Command:
    """Import a command."""
    command = import_module(f"migrator.cli.{name.replace('-', '_')}").command
    if not isinstance(command, click.Command):
        raise TypeError(f"migrator.cli.{name}.command is not a click command")
    return command


@click.group("migrate", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(migrator.__version__, prog_name="migrate")
def migrate() -> None:
    """Move a live application from PostgreSQL to DynamoDB without stopping it and without losing a write.

    Settings come from the environment, .env, migrator.toml and pyproject.toml. DATABASE_URL, or PGHOST and its kin,
    names the source; the AWS SDK's own variables name the target.
    """
