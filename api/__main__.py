"""`python -m api`: the HTTP front, until SIGTERM or Ctrl-C."""

import asyncio
import gc
import logging
import os
import signal
import sys
import zoneinfo

import uvicorn
from aiokafka.errors import KafkaConnectionError

from api.app import create_app
from api.producing import wait_for_kafka
from api.reading import Reads
from api.settings import Settings

FAILED = os.EX_SOFTWARE
"""As the worker ends where it cannot go on."""


def main() -> None:
    """Serve. Settings come from the environment."""
    settings = Settings()
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    gc.set_threshold(50_000, 20, 100)
    zoneinfo.reset_tzpath(())
    try:
        asyncio.run(wait_for_kafka(settings))
    except KafkaConnectionError:
        sys.exit(f"error: no Kafka answers at {settings.kafka} (ONHAND_KAFKA)")
    app = create_app(settings)
    # Done with a SIGTERM, uvicorn raises it anew, for whoever handled it before.
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(FAILED if app.state.has_failed else 0)
    )
    uvicorn.run(
        Reads(app),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
