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

T = TypeVar("T")

CACHE_KIB: Final = 32_768
LOG_PAGES: Final = 16_384
"""Pages of 4 KiB that are written ahead before they are written to their places.

By SQLite's thousand, every commit at a high rate writes all of its pages twice.
"""

POLL_SECONDS: Final = 0.005
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
CREATE TABLE progress (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """One ledger entry. `stock` is the row's key; `sets` marks a count or an adopted book."""

    stock: str
    version: int
    received: int
    effective: int
    sets: int
    entry: bytes


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


Place = tuple[str, int]
"""Topic as the broker names it, partition."""


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

    def add_entries(self, entries: Sequence[Entry]) -> None:
        """Take ledger entries; a repeat of a version is dropped, the oldest make room."""
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

    def commit(self, progress: dict[Place, int]) -> None:
        """Let readers see what was taken, and how far each log was read: next offsets."""
        self._database.executemany(
            "INSERT OR REPLACE INTO progress VALUES (?,?,?)",
            [(*place, offset) for place, offset in progress.items()],
        )
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


class Archive:
    """Reads the file, on a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
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

    async def progress(self) -> dict[Place, int]:
        """How far each log is in the file: next offsets."""

        def work(database: sqlite3.Connection) -> dict[Place, int]:
            found = database.execute("SELECT topic, partition, next FROM progress").fetchall()
            return {(topic, partition): offset for topic, partition, offset in found}

        return await self._run(work)

    async def reached(self, places: dict[Place, int], seconds: float) -> bool:
        """Wait, within bounds, until the file has what stood before each next offset."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            progress = await self.progress()
            if all(progress.get(place, 0) >= offset for place, offset in places.items()):
                return True
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)

    async def entries(
        self, stock: str, version: int | None, received: int | None
    ) -> list[tuple[int, bytes]]:
        """Entries of a row up to a version or a time of receipt, ascending: (version, entry).

        They begin with the last that set the row, or with those that it had to add again.
        """
        column, bound = ("version", version) if version is not None else ("received", received)
        return await self._run(lambda database: _entries(database, stock, column, bound))

    async def entries_of_many(
        self, wanted: Sequence[tuple[str, int]]
    ) -> list[list[tuple[int, bytes]]]:
        """The entries of several rows, each up to a version, in the order asked."""
        return await self._run(
            lambda database: [
                _entries(database, stock, "version", version) for stock, version in wanted
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


def _entries(
    database: sqlite3.Connection, stock: str, column: str, bound: int | None
) -> list[tuple[int, bytes]]:
    base = database.execute(
        f"SELECT version, sets FROM entries WHERE stock = ? AND {column} <= ? AND sets > 0 "
        "ORDER BY version DESC LIMIT 1",
        (stock, bound),
    ).fetchone()
    return database.execute(
        f"SELECT version, entry FROM entries WHERE stock = ? AND {column} <= ? "
        "AND (version >= ? OR effective >= ?) ORDER BY version",
        (stock, bound, *(base or (-1, 0))),
    ).fetchall()
