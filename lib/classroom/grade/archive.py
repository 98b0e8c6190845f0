"""Zips that anybody may have packed: what is in them, without unpacking any of it."""

import io
import stat
import struct
import zipfile
import zlib
from datetime import datetime
from functools import lru_cache
from pathlib import Path

MAX_ZIP = 500 * 2**20
MAX_TABLE = 8 * 2**20  # bytes: a zip's table of contents
MAX_INNER = 50 * 2**20  # bytes: a zip inside a zip, unpacked
UNZIPPABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, MemoryError),
    struct.error,
)
SIP = 2**20


class Sips(io.FileIO):
    """A file that gives a little at a time, however much is asked for.

    `zipfile` reads a whole table of contents at once and makes an object of each entry: of 200 MB
    without any file, four million. Cut off, the table is refused; files are read on.
    """

    def read(self, size: int = -1) -> bytes:
        """At most MAX_TABLE bytes."""
        return super().read(MAX_TABLE if size < 0 else min(size, MAX_TABLE))


def members(file: Path) -> list[str]:
    """The names in a zip; [] if it can't be read."""
    try:
        return _members(file, file.stat().st_mtime_ns)
    except (OSError, *UNZIPPABLE):
        return []


@lru_cache(maxsize=8)  # of an export with a folder a student, each is asked for
def _members(file: Path, _modified: int) -> list[str]:
    with Sips(file) as stream, zipfile.ZipFile(stream) as archive:
        return archive.namelist()


def why_not(member: zipfile.ZipInfo) -> str:
    """Why a file in a zip is not read, if it is not."""
    if member.flag_bits & 1:
        return "is encrypted."
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link."
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that is not supported."
    return ""


def modified(member: zipfile.ZipInfo) -> float:
    """When a file in a zip was last changed, in seconds; 0 where that is no date."""
    try:
        return datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def inner(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> io.BytesIO | None:
    """A zip inside a zip, in memory; None if it is too large. What it says of its size counts for
    nothing."""
    content = bytearray()
    with archive.open(member) as stream:
        while part := stream.read(SIP):
            content += part
            if len(content) > MAX_INNER:
                return None
    return io.BytesIO(content)
