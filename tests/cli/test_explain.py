"""`bmsbench explain` as typed in a shell."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bench.errors import DefinitionError
from bmsbench.commands.explain import command


@pytest.mark.parametrize(
    "arguments",
    [
        ["-12.3", "--bms", "foxbms_2"],
        ["--bms", "foxbms_2", "-12.3"],
        ["--bms", "foxbms_2", "--", "-12.3"],
        ["-12.3A", "--bms", "foxbms_2"],
        ["-12300", "mA", "--bms", "foxbms_2"],
    ],
)
def test_a_negative_current_is_a_current_and_no_option(arguments: list[str]) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "means charging with 12.3 A; declared by the maker" in result.output


@pytest.mark.parametrize("text", ["nan", "-inf", "12,3", "-x", "12V"])
def test_what_is_no_current_is_a_usage_error(text: str) -> None:
    result = CliRunner().invoke(command, [text, "--bms", "foxbms_2"])
    assert result.exit_code == 2
    assert "no current" in result.output or "no unit of current" in result.output
    assert "Traceback" not in result.output


def test_json_is_for_programs() -> None:
    result = CliRunner().invoke(command, ["5", "--bms", "seplos_v3", "--json"])
    assert json.loads(result.output)["meanings"][0]["direction"] == "charge"


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    result = CliRunner().invoke(command, ["5", "--bms", "foxbms2"])
    assert isinstance(result.exception, DefinitionError)
    assert "did you mean 'foxbms_2'?" in str(result.exception)


def test_without_a_profile_nothing_is_guessed() -> None:
    result = CliRunner().invoke(command, ["5"])
    assert result.exit_code == 2
    assert "--bms" in result.output
