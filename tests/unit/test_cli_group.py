"""The list of commands and the commands themselves."""

from __future__ import annotations

import pytest
import rich_click as click

from migrator.cli.group import COMMANDS, load_command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_in_the_list_is_the_first_line_of_the_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert str(command.help).splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_common_options(name: str) -> None:
    options = {option for parameter in load_command(name).params for option in parameter.opts}
    assert {"-v", "--verbose", "--debug"} <= options


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    options = [parameter for parameter in load_command(name).params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []
