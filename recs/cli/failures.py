"""Turn an exception into what a user is told."""

from __future__ import annotations

import sys

import click
import psycopg
from sqlalchemy.exc import DBAPIError

from recs.cli.output import Failure
from recs.errors import RecsError

# What a base install does not have, and which extras bring it.
_EXTRAS = {
    "numpy": "train",
    "optuna": "train,tune",
    "pyarrow": "train",
    "scipy": "train",
    "sklearn": "train",
    "torch": "train",
}

_RIGHTS = (
    "connect as the owner of the schema recs, or be granted a group role: recs_reader asks,"
    " recs_writer writes, recs_trainer says which version serves"
)


def explain(error: Exception) -> Failure:
    """Return message and hint; re-raise what is a defect of ours.

    Raises:
        Exception: `error` itself, where it is neither ours nor the database's, and no package or
            memory is missing.
    """
    if isinstance(error, RecsError):
        return Failure(error.message, error.hint)
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return Failure(
            f"this needs {error.name}, which is not installed",
            f"pip install 'pgrecs[{_EXTRAS[error.name]}]'",
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return Failure(
            f"the GPU has too little memory: {str(error).splitlines()[0]}",
            "compute on the CPU: --device cpu",
        )
    # NumPy raises MemoryError, torch a RuntimeError.
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    ):
        wanted = str(error).partition("\n")[0] or "none is left"
        return Failure(
            f"there is too little memory: {wanted}",
            "take a larger machine, or a smaller association_dimension: --parameters FILE",
        )
    if isinstance(error, OSError) and error.strerror:  # a full disk, most often
        where = "" if error.filename is None else f"{error.filename}: "
        return Failure(f"{where}{error.strerror}")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error):
        return _from_database(cause)
    raise error


def explain_usage(error: click.ClickException) -> Failure:
    """Return message and hint of a command line that cannot be read."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = None if context is None else f"see: {context.command_path} --help"
    return Failure(error.format_message(), hint)


def _from_database(error: psycopg.Error) -> Failure:
    message = error.diag.message_primary or str(error).strip()
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Failure(message, error.diag.message_hint or _RIGHTS)
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return Failure(message, "connect to the primary: a standby, or a read-only session, asks")
    if isinstance(error, psycopg.OperationalError) and error.diag.message_primary is None:
        return Failure(
            message,
            "what was not committed is rolled back; a COMMIT under way may have been done or not:"
            " see what is there before you run it again",
        )
    return Failure(message, error.diag.message_hint or error.diag.message_detail)
