"""The command `recs`: one module per noun, all sharing --dsn, --tenant and --json."""

from __future__ import annotations

import importlib
from typing import Any

import click

from recs.cli.output import Output
from recs.cli.settings import Settings

# Loaded when called, so that `recs recommend` never waits for torch.
_COMMANDS = {
    "audit": "recs.cli.audit:audit",
    "demo": "recs.cli.demo:demo",
    "evaluate": "recs.cli.evaluate:evaluate",
    "health": "recs.cli.health:health",
    "load": "recs.cli.load:load",
    "migrate": "recs.cli.migrate:migrate",
    "models": "recs.cli.models:models",
    "popular": "recs.cli.recommend:popular",
    "recommend": "recs.cli.recommend:recommend",
    "recommend-for-items": "recs.cli.recommend:recommend_for_items",
    "server": "recs.cli.server:server",
    "similar": "recs.cli.recommend:similar",
    "train": "recs.cli.train:train",
    "tune": "recs.cli.tune:tune",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgrecs", prog_name="recs")
@click.option(
    "--dsn",
    help="The database. Default: $DATABASE_URL, libpq's variables, else the embedded server.",
)
@click.option("--tenant", "tenant_id", help="Whose data. Default: the tenant 'default'.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@click.pass_context
def cli(ctx: click.Context, dsn: str | None, tenant_id: str | None, as_json: bool) -> None:
    """Recommendations from the PostgreSQL you already have."""
    ctx.obj = Settings(dsn=dsn, tenant_id=tenant_id, output=Output(as_json=as_json))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error a user can mend is two lines and exit code 1.

    Of a command that cannot be read the exit code is click's, 2.
    """
    from recs.cli.failures import explain, explain_usage

    arguments = _json_anywhere(arguments)
    as_json = "--json" in arguments
    try:
        cli.main(args=arguments, prog_name="recs", standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        if as_json:
            Output(as_json=True).failure(explain_usage(error))
        else:
            error.show()
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # noqa: BLE001 - explain() re-raises our own defects
        Output(as_json=as_json).failure(explain(error))
        raise SystemExit(1) from None


def _json_anywhere(arguments: list[str] | None) -> list[str]:
    """Let --json stand after the command as well: `recs models list --json`."""
    import sys

    given: list[Any] = list(sys.argv[1:] if arguments is None else arguments)
    if "--json" in given:
        given = ["--json", *(word for word in given if word != "--json")]
    return given
