"""`recs load`: files into items, users and interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import psycopg
from psycopg import sql
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs.cli.failures import explain
from recs.cli.output import Failure, Output
from recs.cli.settings import Settings, pass_settings
from recs.database import analyze
from recs.errors import RecsError

if TYPE_CHECKING:
    from recs.loading import LoadReport

_REFRESH = "SELECT recs.refresh_popularity()"
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def load() -> None:
    """Load a file (.csv, .tsv, .parquet, .jsonl, .ndjson; .gz too) in one transaction.

    Ids may be numbers, UUIDs or text. A column goes where its name says; for others say
    --map OURS=FILES.
    """


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        ours, separator, theirs = value.partition("=")
        if not (ours and separator and theirs):
            raise click.BadParameter(f"{value!r} is not OURS=FILES, item_id=sku say")
        pairs[ours] = theirs
    return pairs


def _options(command: Command) -> Command:
    """Add what all loads take."""
    for option in (
        click.option(
            "--rejects", type=click.Path(dir_okay=False, path_type=Path),
            help="Where --on-error skip writes bad rows. Default: FILE.rejects.jsonl",
        ),
        click.option(
            "--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
            help="fail: one bad row and nothing is loaded; skip: leave bad rows out.",
        ),
        click.option(
            "--map", "columns", multiple=True, callback=_pairs, metavar="OURS=FILES",
            help="Our column = the file's, item_id=sku say. May be repeated.",
        ),
        click.argument("file", type=click.Path(path_type=Path)),
    ):  # fmt: skip
        command = option(command)
    return command


_attribute_option = click.option(
    "--attribute", "attributes", multiple=True, metavar="COLUMN",
    help="Collect this column of the file into attributes. May be repeated.",
)  # fmt: skip


@load.command()
@_options
@pass_settings
def interactions(settings: Settings, /, file: Path, **options: Any) -> None:
    """Append interactions: user_id, item_id, interaction_type, weight, occurred_at.

    Times are ISO 8601 (without a zone: UTC) or seconds since 1970. Items must be loaded first.
    """
    from recs import loading

    engine = settings.engine()
    report = _run(settings.output, file, loading.load_interactions, engine, options)
    with _loaded(settings.output, "interactions", report) as facts:
        facts["popularity_refreshed"] = False
        remedy = _refresh_of(settings.tenant_id)
        with _left_undone(settings.output, report, "popularity was not refreshed", remedy):
            facts["popularity_refreshed"] = _refresh_popularity(settings.output, engine)
        _analyze(settings.output, report, engine, "interactions", "item_popularity")


@load.command()
@_options
@_attribute_option
@pass_settings
def items(settings: Settings, /, file: Path, **options: Any) -> None:
    """Insert or update items: item_id, title, description, attributes, available, content_vector.

    Of items that exist, the columns that the file has are updated.
    """
    from recs import loading

    engine = settings.engine()
    report = _run(settings.output, file, loading.load_items, engine, options)
    with _loaded(settings.output, "items", report):
        _analyze(settings.output, report, engine, "items")


@load.command()
@_options
@_attribute_option
@pass_settings
def users(settings: Settings, /, file: Path, **options: Any) -> None:
    """Insert or update users: user_id, segment, attributes."""
    from recs import loading

    engine = settings.engine()
    report = _run(settings.output, file, loading.load_users, engine, options)
    with _loaded(settings.output, "users", report):
        _analyze(settings.output, report, engine, "users")


def _run(
    output: Output, file: Path, load_file: Any, engine: Engine, options: dict[str, Any]
) -> LoadReport:
    with output.progress() as progress:
        task = progress.add_task(f"loading {file.name}", total=None)

        def show(rows: int, fraction: float) -> None:
            progress.update(task, completed=rows, total=int(rows / fraction) if fraction else None)

        report: LoadReport = load_file(engine, file, **options, on_progress=show)
        progress.update(task, completed=report.rows, total=report.rows)
    return report


@contextmanager
def _loaded(output: Output, noun: str, report: LoadReport) -> Iterator[dict[str, Any]]:
    """Tell what was loaded after the block, even if it fails: the load is committed.

    The block adds to the facts that are told to programs.
    """
    facts: dict[str, Any] = {}
    try:
        yield facts
    finally:
        _tell(output, noun, report, facts)


@contextmanager
def _left_undone(output: Output, report: LoadReport, what: str, remedy: str) -> Iterator[None]:
    """Say that the rows are loaded where the block fails or is interrupted.

    Raises:
        RecsError: `what` was left undone, and `remedy` does it; for what failed.
    """
    loaded = f"{report.rows:,} rows were loaded; {what}"
    hint = f"do not load them again; {remedy}"
    try:
        yield
    except KeyboardInterrupt:
        output.failure(Failure(loaded, hint))
        raise
    except (DBAPIError, psycopg.Error, RecsError) as error:
        raise RecsError(f"{loaded}: {explain(error).message}", hint=hint) from error


def _analyze(output: Output, report: LoadReport, engine: Engine, *tables: str) -> None:
    remedy = "ANALYZE " + ", ".join(f"recs.{table}" for table in tables)
    with _left_undone(output, report, "the planner does not know of them yet", remedy):
        analyze(engine, *tables)


def _refresh_of(tenant_id: str | None) -> str:
    if tenant_id is None:
        return _REFRESH
    setting = sql.SQL("SELECT set_config('recs.tenant_id', {}, false)").format(tenant_id)
    return f"{setting.as_string()}; {_REFRESH}"


def _refresh_popularity(output: Output, engine: Engine) -> bool:
    """Refresh it where that is allowed; return whether."""
    allowed = (
        "SELECT has_function_privilege('recs.refresh_popularity(timestamptz)', 'EXECUTE'),"
        " current_user"
    )
    with engine.begin() as connection:
        may, user = connection.execute(text(allowed)).one()
        if may:
            with output.progress() as progress:
                progress.add_task("refreshing popularity", total=None)
                connection.execute(text(_REFRESH))
        else:
            output.warn(
                f"popularity is as it was: {user} may not run {_REFRESH},"
                " members of recs_trainer may"
            )
    return bool(may)


def _tell(output: Output, noun: str, report: LoadReport, facts: dict[str, Any]) -> None:
    output.result(
        {
            "table": noun,
            "rows": report.rows,
            "rejected": report.rejected,
            "seconds": round(report.seconds, 3),
            "rows_per_second": round(report.rows_per_second),
            "rejects": report.rejects,
            "ignored": list(report.ignored),
            **facts,
        }
    )
    output.say(
        f"{noun}: {report.rows:,} rows in {report.seconds:.1f} s"
        f" ({report.rows_per_second:,.0f} rows/s)"
    )
    if report.ignored:
        output.warn(f"columns of the file that were not loaded: {', '.join(report.ignored)}")
    if report.rejects is not None:
        output.plain(f"{report.rejected:,} rows were rejected: {report.rejects}")
