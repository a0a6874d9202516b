"""What every command is given: which database, whose data, how to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine, event

from recs.cli.output import Output

if TYPE_CHECKING:
    import psycopg
    from psycopg.errors import Diagnostic


@dataclass(frozen=True)
class Settings:
    """The options of `recs` itself; commands take it with `@pass_settings`."""

    dsn: str | None
    tenant_id: str | None
    output: Output

    def engine(self) -> Engine:
        """Return an engine on a database that has been migrated.

        Raises:
            NotMigrated: it has no schema recs, or one of another version.
            BadInput: it has no such tenant.
        """
        from recs import database

        engine = self.bare_engine()
        event.listen(engine, "connect", self._pass_warnings_on)
        with engine.connect() as connection:
            driver = database.driver_connection(connection)
            database.require_schema(driver)
            if self.tenant_id is not None:
                database.require_tenant(driver, self.tenant_id)
        return engine

    def _pass_warnings_on(self, connection: psycopg.Connection[Any], _record: object) -> None:
        connection.add_notice_handler(self._warn)

    def _warn(self, notice: Diagnostic) -> None:
        from recs import database

        warning = database.warning_of(notice)
        if warning is not None:
            self.output.warn(warning)

    def bare_engine(self) -> Engine:
        """Return an engine on the database as it is, whose transactions take their time."""
        from recs import database

        engine = database.make_engine(self.dsn, tenant_id=self.tenant_id)
        event.listen(engine, "begin", database.lift_time_limits)
        return engine


pass_settings = click.make_pass_decorator(Settings)
