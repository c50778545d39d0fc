"""Settings of the worker, from the environment: `ONHAND_` and the name in capitals."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.batches import Compression


class Settings(BaseSettings):
    """Units stand in each description; defaults suit one machine."""

    model_config = SettingsConfigDict(env_prefix="ONHAND_", extra="ignore", frozen=True)

    kafka: str = Field(
        "127.0.0.1:9092", description="bootstrap servers, host:port, comma-separated"
    )
    prefix: str = Field("", description="put before every topic and group name")
    connect_seconds: float = Field(
        30.0, ge=0, description="seconds that a worker waits for Kafka at its start"
    )
    partitions: int = Field(4, ge=1, le=1024, description="partitions of every topic")
    replication: int = Field(
        1,
        ge=1,
        le=15,
        description="replicas of every topic; half of them, rounded up, must have a record; "
        "3 in production",
    )
    timestamps: Literal["LogAppendTime", "CreateTime"] = Field(
        "LogAppendTime", description="who sets record times; CreateTime only for tests"
    )
    retention_hours: int = Field(
        168, ge=1, description="hours that input and movement logs are kept"
    )
    compaction_lag_hours: float = Field(
        1.0,
        gt=0,
        description="hours that state is kept uncompacted: far longer than the repair of a late "
        "write takes, and a state in which one is older is refused",
    )
    instance: str = Field(
        "", description="static group membership: the same name after a restart, else empty"
    )
    snapshots: str = Field(
        "",
        description="folder where a worker keeps its state, so that it is back at once; "
        "empty: none, and the whole state log is read",
    )
    snapshot_mb: float = Field(
        16.0,
        ge=0,
        description="megabytes that a state log grows by, at least, before its partition is "
        "kept again",
    )
    session_timeout_seconds: float = Field(
        6.0, ge=1, description="seconds of silence after which a worker counts as gone"
    )
    fetch_wait_ms: int = Field(
        50, ge=1, le=1500, description="milliseconds a fetch waits at the broker for new records"
    )
    step_records: int = Field(
        16_000, ge=1, le=100_000, description="records that one step takes at most"
    )
    compression: Compression = Field(
        "lz4",
        description="of what a worker appends: a quarter of the bytes for brokers and network, for "
        "a twentieth more of the worker's processor",
    )
    save_ms: int = Field(
        500,
        ge=1,
        description="milliseconds after which rows are written while more waits, and those of "
        "sources at any busy time: more merges more changes of a row, and has readers of a "
        "backlog's rows, or of gaps, wait for longer",
    )
    commit_ms: int = Field(
        500, ge=10, description="milliseconds between offset commits, which only lag tools read"
    )
    document_days: int = Field(
        90,
        ge=1,
        le=36_500,
        description="days for which the state remembers what was last said of a reservation, "
        "return, transfer, advice or count that is over; a repeat that comes later counts anew",
    )
    stock_days: int = Field(
        730,
        ge=0,
        le=3_650,
        description="days after which a stock row that is empty, and that nothing has changed, "
        "leaves the state with its history: its SKU is unknown there until it is counted again, "
        "or as the last complete count of its location left it; 0: never",
    )
    default_ttl_seconds: int = Field(
        900, ge=1, description="seconds until an unconfirmed hold lapses, where none are given"
    )
    max_ttl_seconds: int = Field(86_400, ge=1, description="the most seconds a hold may ask for")
    realtime: bool = Field(
        False,
        description="run before all that is not real-time, where the system permits it (Linux: "
        "CAP_SYS_NICE or RLIMIT_RTPRIO), with four fifths of a processor a process at most",
    )
    shutdown_seconds: float = Field(8.0, ge=1, description="seconds after which shutdown is forced")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    failpoint: str = Field(
        "", description="tests only: name:count of the place to die at; with :stop, to freeze at"
    )
    unsafe_without: str = Field(
        "", description="tests only: 'origins' or 'positions' switches that rule off"
    )

    def topic(self, name: str) -> str:
        """The topic's name at the broker."""
        return self.prefix + name
