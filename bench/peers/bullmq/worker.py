"""The same with BullMQ's package for Python: it works jobs that are nothing to do.

REDIS_PORT, QUEUE and CONCURRENCY come from the environment.
"""

import asyncio
import os
from typing import Any

from bullmq import Worker  # type: ignore[import-untyped]  # it has no type hints


async def process(job: Any, token: str) -> None:
    """Nothing is to do."""


async def main() -> None:
    options = {
        "connection": {"host": "127.0.0.1", "port": int(os.environ["REDIS_PORT"])},
        "concurrency": int(os.environ["CONCURRENCY"]),
    }
    worker = Worker(os.environ["QUEUE"], process, options)
    worker.on("error", lambda error, _: print(error, flush=True))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
