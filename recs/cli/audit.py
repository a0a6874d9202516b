"""`recs audit`: who made which version serve, and who changed the tenant."""

from __future__ import annotations

from dataclasses import asdict

import click

from recs.cli.settings import Settings, pass_settings


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
        ("at", "login", "acting as", "subject", "id", "name", "action", "changed"),
        [
            (
                f"{e.occurred_at:%Y-%m-%d %H:%M:%S}", e.login_role, e.acting_role or "", e.subject,
                e.subject_id, e.subject_name or "", e.action, ", ".join(sorted(e.changes)),
            )
            for e in events
        ],
    )  # fmt: skip
