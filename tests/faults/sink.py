"""An HTTP service that writes down every delivery, and refuses what asks for it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.faults.account import Account, Received


@asynccontextmanager
async def recording_sink(account: Account, *, port: int = 0, work_s: float = 0.0) -> AsyncIterator[str]:
    """Yields the service's URL. A body with `"refuse": true` is answered 400, and so becomes a dead letter.

    A delivery is written down when it comes, and answered `work_s` later.
    """

    async def receive(request: web.BaseRequest) -> web.Response:
        body = json.loads(await request.read())
        if body.get("refuse"):
            return web.Response(status=400)
        key = request.headers.get("Idempotency-Key", "")
        account.received.append(
            Received(body["id"], body["key"], body["sequence"], key, time.monotonic(), body.get("version", 0))
        )
        if work_s:
            await asyncio.sleep(work_s)
        return web.Response(status=204)

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
