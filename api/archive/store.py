"""The archive's file: SQLite, written by one process, read by another.

It answers what no view in memory should hold: the ledger by row, dead letters by code,
documents by name. Its memory is bounded by the page cache, its size by `max_entries`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from models.instants import SECOND
from models.ledger import Head

T = TypeVar("T")

CACHE_KIB: Final = 32_768
LOG_PAGES: Final = 16_384
"""Pages of 4 KiB that are written ahead before they are written to their places.

By SQLite's thousand, every commit at a high rate writes all of its pages twice.
"""

REACH: Final = 86_400 * SECOND
"""What a count had to add again may lie in its interval: a day is ample for one."""

POLL_SECONDS: Final = 0.01
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE entries (
    stock TEXT NOT NULL, version INTEGER NOT NULL, received INTEGER NOT NULL,
    effective INTEGER NOT NULL, sets INTEGER NOT NULL, entry BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_by_stock ON entries (stock, version);
CREATE TABLE letters (
    id TEXT PRIMARY KEY, code TEXT NOT NULL, source TEXT NOT NULL, location TEXT NOT NULL,
    owner TEXT NOT NULL, received INTEGER NOT NULL, times INTEGER NOT NULL, letter BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX letters_by_time ON letters (received);
CREATE TABLE documents (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    value BLOB
) WITHOUT ROWID;
CREATE INDEX documents_by_name ON documents (kind, name, key);
CREATE TABLE shown (number INTEGER NOT NULL);
INSERT INTO shown VALUES (0);
"""


class Letter(NamedTuple):
    """One dead letter; `letter` is what is told of it, as JSON."""

    id: str
    code: str
    source: str
    location: str
    owner: str
    received: int
    letter: bytes


class Document(NamedTuple):
    """One row of a state topic by its key. `name` is what it is looked up by."""

    key: str
    kind: str
    name: str
    version: int
    value: bytes | None


def create(path: Path) -> None:
    """Make the file, empty."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_SCHEMA)


class Writer:
    """Fills the file; everything of one `commit` is seen at once."""

    def __init__(self, path: Path, max_entries: int) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self._max_entries = max_entries
        self._database.execute("BEGIN")

    def add_entries(self, entries: Sequence[Head]) -> None:
        """Take entries of the ledger; a repeat of a version is dropped, the oldest make room."""
        self._database.executemany("INSERT OR IGNORE INTO entries VALUES (?,?,?,?,?,?)", entries)
        (newest,) = self._database.execute("SELECT max(rowid) FROM entries").fetchone()
        if newest is not None:
            oldest = newest - self._max_entries
            self._database.execute("DELETE FROM entries WHERE rowid <= ?", (oldest,))

    def add_letters(self, letters: Sequence[Letter]) -> None:
        """Take dead letters; one of the same place counts how often it came."""
        self._database.executemany(
            "INSERT INTO letters VALUES (?,?,?,?,?,?,1,?) "
            "ON CONFLICT (id) DO UPDATE SET times = times + 1",
            letters,
        )

    def put(self, documents: Iterable[Document]) -> None:
        """Take rows; older ones than those held are ignored."""
        self._database.executemany(
            "INSERT INTO documents VALUES (?,?,?,?,?) ON CONFLICT (key) DO UPDATE "
            "SET version = excluded.version, value = excluded.value "
            "WHERE excluded.version > version",
            documents,
        )

    def commit(self, number: int | None = None) -> None:
        """Let readers see what was taken, and the number that one of them waits for."""
        if number is not None:
            self._database.execute("UPDATE shown SET number = ?", (number,))
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


class Archive:
    """Reads the file, on a thread of its own."""

    def __init__(self, path: Path, show: Callable[[], int]) -> None:
        """`show` has the file's writer show what it has, and a number, which is returned."""
        self._path = path
        self._show = show
        self._thread = ThreadPoolExecutor(1, "archive")
        self._database: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Open the file, which must exist."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA query_only = ON")

    async def stop(self) -> None:
        """Let go of the file."""
        await self._run(lambda database: database.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(self._database))  # type: ignore[arg-type]

    async def reached(self, seconds: float) -> bool:
        """Wait, within bounds, until the file has what its writer was told and took so far."""
        deadline = asyncio.get_running_loop().time() + seconds
        number = self._show()
        while await self._run(_shown) < number:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def entries(self, stock: str, received: int) -> list[bytes]:
        """Entries of a row up to a time of receipt, ascending by version.

        They begin with the last that set the row, or with those that it had to add again.
        """
        found = await self._run(lambda database: _entries(database, stock, "received", received))
        return [entry for _, entry in found]

    async def entries_of_many(
        self, wanted: Sequence[tuple[str, int]], seconds: float
    ) -> list[list[bytes] | None]:
        """The entries of several rows, each up to a version, in the order asked.

        Waits, within bounds, until the file has those versions; None where it has not.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        complete: dict[int, list[bytes]] = {}
        while True:
            lacking = [place for place in range(len(wanted)) if place not in complete]
            for place, found in zip(lacking, await self._many(wanted, lacking), strict=True):
                if found and found[-1][0] == wanted[place][1]:
                    complete[place] = [entry for _, entry in found]
            left = deadline - asyncio.get_running_loop().time()
            if len(complete) == len(wanted) or left < 0:
                return [complete.get(place) for place in range(len(wanted))]
            await asyncio.sleep(POLL_SECONDS)
            await self.reached(left)

    async def _many(
        self, wanted: Sequence[tuple[str, int]], places: list[int]
    ) -> list[list[tuple[int, bytes]]]:
        return await self._run(
            lambda database: [
                _entries(database, wanted[place][0], "version", wanted[place][1])
                for place in places
            ]
        )

    async def letters(
        self, filters: dict[str, str], before: int, after: str, limit: int
    ) -> list[tuple[str, int, int, bytes]]:
        """Dead letters by id: (id, received, times, letter). `filters` by column."""

        def work(database: sqlite3.Connection) -> list[tuple[str, int, int, bytes]]:
            where = "".join(f" AND {column} = ?" for column in filters)
            return database.execute(
                "SELECT id, received, times, letter FROM letters "
                f"WHERE id > ? AND received <= ?{where} ORDER BY id LIMIT ?",
                (after, before, *filters.values(), limit),
            ).fetchall()

        return await self._run(work)

    async def letter(self, name: str) -> tuple[str, int, int, bytes] | None:
        """One dead letter."""

        def work(database: sqlite3.Connection) -> tuple[str, int, int, bytes] | None:
            found: tuple[str, int, int, bytes] | None = database.execute(
                "SELECT id, received, times, letter FROM letters WHERE id = ?", (name,)
            ).fetchone()
            return found

        return await self._run(work)

    async def documents(
        self, kind: str, name: str | None = None, after: str = "", limit: int = -1
    ) -> list[tuple[str, bytes]]:
        """Rows of a kind, by key: (key, value)."""

        def work(database: sqlite3.Connection) -> list[tuple[str, bytes]]:
            named = " AND name = ?" if name is not None else ""
            return database.execute(
                f"SELECT key, value FROM documents WHERE kind = ?{named} AND key > ? "
                "AND value IS NOT NULL ORDER BY key LIMIT ?",
                (kind, *([name] if name is not None else []), after, limit),
            ).fetchall()

        return await self._run(work)


def _shown(database: sqlite3.Connection) -> int:
    (number,) = database.execute("SELECT number FROM shown").fetchone()
    return int(number)


def _entries(
    database: sqlite3.Connection, stock: str, column: str, bound: int
) -> list[tuple[int, bytes]]:
    base = database.execute(
        f"SELECT version, effective - ? FROM entries WHERE stock = ? AND {column} <= ? AND sets "
        "ORDER BY version DESC LIMIT 1",
        (REACH, stock, bound),
    ).fetchone()
    return database.execute(
        f"SELECT version, entry FROM entries WHERE stock = ? AND {column} <= ? "
        "AND (version >= ? OR effective >= ?) ORDER BY version",
        (stock, bound, *(base or (-1, 0))),
    ).fetchall()
