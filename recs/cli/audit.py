"""`recs audit`: who made which version serve, and who changed the tenant."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from recs.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from recs.audit import AuditEvent


@click.command()
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="How many events."
)
@pass_settings
def audit(settings: Settings, limit: int) -> None:
    """List what was done to model versions and to the tenant, newest first."""
    from recs.audit import list_events

    with settings.engine().connect() as connection:
        events = list_events(connection, limit=limit)
    settings.output.result([asdict(event) for event in events])
    settings.output.table(
        ("at", "who", "what", "action"),
        [(f"{e.occurred_at:%Y-%m-%d %H:%M:%S}", _who(e), _what(e), _action(e)) for e in events],
    )


def _who(event: AuditEvent) -> str:
    acting = f" as {event.acting_role}" if event.acting_role else ""
    return event.login_role + acting


def _what(event: AuditEvent) -> str:
    if event.subject == "models":
        return f"model {event.subject_id}: {event.subject_name}"
    return f"tenant {event.subject_id}"


def _action(event: AuditEvent) -> str:
    """Return it with the values of before and after, where the action does not say them."""
    if event.action != "changed":
        return event.action
    return "\n".join(f"{name}: {old} -> {new}" for name, (old, new) in event.changes.items())
