"""`python -m api`: the HTTP front, until SIGTERM or Ctrl-C."""

import gc
import logging

import uvicorn

from api.app import create_app
from api.settings import Settings


def main() -> None:
    """Serve. Settings come from the environment."""
    settings = Settings()
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    gc.set_threshold(50_000, 20, 100)
    uvicorn.run(
        create_app(settings),
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
