"""Settings of the HTTP front, from the environment: `ONHAND_` and the name in capitals."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Units stand in each description; defaults suit one machine."""

    model_config = SettingsConfigDict(env_prefix="ONHAND_", extra="ignore", frozen=True)

    kafka: str = Field(
        "127.0.0.1:9092", description="bootstrap servers, host:port, comma-separated"
    )
    prefix: str = Field("", description="put before every topic name")
    api_host: str = Field("127.0.0.1", description="address to listen on")
    api_port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    view: str = Field("memory", description="where rows are kept: memory, or redis://host:port/db")
    connect_seconds: float = Field(30.0, ge=0, description="seconds to wait for Kafka at the start")
    decision_seconds: float = Field(
        2.0, gt=0, description="seconds a reservation waits for its decision before 202"
    )
    realtime: bool = Field(
        False,
        description="run before all that is not real-time, where the system permits it (Linux: "
        "CAP_SYS_NICE or RLIMIT_RTPRIO), with four fifths of a processor a process at most",
    )
    max_body_bytes: int = Field(16_000_000, ge=1024, description="bytes of a request at most")
    max_query: int = Field(1_000, ge=1, description="items of one availability query at most")
    archive_folder: str = Field(
        "", description="folder of the archive's file, removed at the end; empty: a temporary one"
    )
    archive_entries: int = Field(
        5_000_000, ge=1_000, description="ledger entries kept for explanations, about 300 B each"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def topic(self, name: str) -> str:
        """The topic's name at the broker."""
        return self.prefix + name
