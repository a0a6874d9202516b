"""What recs.audit_events has noted: who created, changed or dropped what decides on answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class AuditEvent:
    """A row of recs.audit_events; `changes` has, by column, the value before and after."""

    event_id: int
    occurred_at: datetime
    login_role: str
    acting_role: str | None
    subject: str
    subject_id: str
    subject_name: str | None
    action: str
    changes: Mapping[str, Any]


def list_events(connection: Connection, *, limit: int) -> list[AuditEvent]:
    """Return the tenant's latest events, newest first. Reads only."""
    rows = connection.execute(
        text(
            "SELECT event_id, occurred_at, login_role, acting_role, subject, subject_id,"
            " subject_name, action, changes FROM recs.audit_events"
            " WHERE tenant_id = recs.current_tenant() ORDER BY event_id DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [AuditEvent(*row) for row in rows]
