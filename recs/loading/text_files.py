"""Text files as bytes, unpacked where they are compressed."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from recs.errors import BadInput

_PIECE = 1 << 20  # bytes
UNREADABLE = (OSError, EOFError, zlib.error)  # what reading a damaged file raises


def is_packed(path: Path) -> bool:
    """Tell whether a file is compressed, by its name."""
    return path.suffix.lower() == ".gz"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacked."""
    return cast(BinaryIO, gzip.open(path, "rb")) if is_packed(path) else path.open("rb")


def is_utf_8(path: Path) -> bool:
    """Tell whether all of a file is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path) as file:
        try:
            while piece := file.read(_PIECE):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def require_utf_8(path: Path) -> None:
    """Refuse UTF-16, as spreadsheets write it: it would be read as one strange column.

    Raises:
        BadInput: the file is UTF-16.
    """
    with open_bytes(path) as file:
        head = file.read(2)
    if head in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
        unpack = f"zcat {path.name} | " if is_packed(path) else ""
        raise BadInput(
            f"{path} is UTF-16, expected UTF-8",
            hint=f"convert it: {unpack}iconv -f UTF-16 -t UTF-8"
            f"{'' if unpack else ' ' + path.name} > NEW_FILE",
        )
