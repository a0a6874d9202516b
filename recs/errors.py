"""Errors a user of recs can meet. The docstring of a class is its default message."""

from __future__ import annotations


class RecsError(Exception):
    """recs cannot do what was asked"""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").split("\n")[0]
        self.hint = hint
        super().__init__(self.message if hint is None else f"{self.message}\nhint: {hint}")


class ConnectionFailed(RecsError):
    """the database cannot be reached"""


class ServerUnsuitable(RecsError):
    """the server lacks something that recs needs"""


class NotMigrated(RecsError):
    """the database has no schema recs, or one of another version"""


class BadInput(RecsError):
    """the input cannot be used"""


class NothingToLearn(RecsError):
    """the catalog or the interactions are too few to train a model"""


class ModelRefused(RecsError):
    """the gate refused to activate the model"""


class ServiceLevelMissed(RecsError):
    """what serves falls short of what is expected of it"""
