"""The rejects file: a JSON object a line, with line, reason and the row as the file has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from recs.errors import BadInput
from recs.loading.batches import Reject


class RejectsFile:
    """Made when the first row is rejected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: Reject | None = None
        self._file: TextIO | None = None

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as failed:
            if error is None:
                raise self._unwritten(failed) from failed

    def write(self, rejects: Iterable[Reject]) -> None:
        """Append rows.

        Raises:
            BadInput: the file cannot be written.
        """
        for reject in rejects:
            file = self._file or self._open()
            try:
                file.write(reject.document() + "\n")
            except OSError as error:
                raise self._unwritten(error) from error
            self.first = self.first or reject
            self.count += 1

    def remove_stale(self) -> None:
        """Remove what an earlier load left, if nothing was rejected; a device is left alone.

        Raises:
            BadInput: the file cannot be removed.
        """
        if self.count or not self.path.is_file():
            return
        try:
            self.path.unlink()
        except OSError as error:
            raise BadInput(
                f"cannot remove {self.path}, the rejected rows of an earlier load:"
                f" {error.strerror}",
                hint="name another file: --rejects FILE",
            ) from error

    def _open(self) -> TextIO:
        try:
            self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise self._unwritten(error) from error
        return self._file

    def _unwritten(self, error: OSError) -> BadInput:
        return BadInput(
            f"cannot write rejected rows to {self.path}: {error.strerror}",
            hint="name another file: --rejects FILE",
        )
