"""The command line. Each command is one module in `bmsbench/commands`, imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

COMMANDS = Path(__file__).parent / "commands"
USAGE = 2
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command only when it is used; `--help` reads the first line of each docstring."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, sorted."""
        del ctx
        return sorted(path.stem for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"bmsbench.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first line of their module's docstring, without importing them."""
        rows = [(name, _first_line(COMMANDS / f"{name}.py")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one gets the nearest spelling."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near:
                raise click.UsageError(f"No command {args[0]!r}; did you mean {near[0]!r}?", ctx) from problem
            raise


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').rstrip(".")


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and leave; a checkout that was never installed says so instead of failing."""
    del parameter
    if not wanted:
        return
    import importlib.metadata

    try:
        text = importlib.metadata.version("bmsbench")
    except importlib.metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((COMMANDS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        text = f"{project['version']} (a checkout, not installed)"
    click.echo(f"bmsbench {text}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="show the traceback of an error")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="show the version")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """A test bench for battery management systems: known currents, checked signs, judged protections."""
    ctx.ensure_object(dict)["debug"] = debug


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; one error is one message, not a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        result: Any = cli.main(args=arguments, prog_name="bmsbench", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except SystemExit:
        # Click wraps its streams and leaves with 1 when the reader of a pipe had enough; here 1 means a failed product.
        if "FlushWrapper" not in type(sys.stdout).__name__:
            raise
        return 0
    except Exception as problem:
        if "--debug" in arguments or not _is_expected(problem):
            raise
        click.echo(f"{_kind(problem)}: {problem}", err=True)
        return _status(problem)
    return int(result or 0)


def _is_expected(problem: Exception) -> bool:
    from bench.errors import BenchError

    return isinstance(problem, (BenchError, OSError))


def _status(problem: Exception) -> int:
    """Definition and usage errors are 2, everything else that the bench can say is 10."""
    from bench.errors import DefinitionError

    return USAGE if isinstance(problem, DefinitionError) else 10


def _kind(problem: Exception) -> str:
    names = {
        "DefinitionError": "definition",
        "WiringError": "wiring",
        "SafetyError": "SAFETY",
        "Inconclusive": "inconclusive",
    }
    return names.get(type(problem).__name__, "error")


if __name__ == "__main__":
    sys.exit(main())
