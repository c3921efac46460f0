"""A headless Chromium, for pages of others that only a browser makes sense of."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

READY_TIMEOUT_S: Final = 20.0
DEADLINE_S: Final = 15.0
MAX_BYTES: Final = 16 * 1024 * 1024


def has_chromium() -> bool:
    return shutil.which("chromium") is not None


class Page:
    """One page, told what to do by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session: str | None = None
        self._last = 0

    async def open(self, url: str) -> None:
        """Go there, and wait until it has loaded; its scripts may still be fetching what it shows."""
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self._call("Page.enable")
        await self._call("Page.navigate", url=url)
        await self._heard(lambda said: said.get("method") == "Page.loadEventFired")

    async def evaluate(self, script: str) -> Any:
        """What a script in the page returns, or its promise comes to; raises AssertionError for what it throws."""
        answer = await self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        command: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        await self._socket.send(json.dumps(command))
        answer = await self._heard(lambda said: said.get("id") == self._last)
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    async def _heard(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                said: dict[str, Any] = json.loads(await self._socket.recv())
                if wanted(said):
                    return said


@asynccontextmanager
async def browse(url: str, profile: Path) -> AsyncIterator[Page]:
    """A page of a browser that lasts as long as the block."""
    process = await asyncio.create_subprocess_exec(
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while "DevTools listening on " not in (said := (await process.stderr.readline()).decode()):
                assert said, "chromium ended"
        # What it complains of must not fill the pipe.
        reading = asyncio.create_task(process.stderr.read())
        try:
            async with connect(said.split()[-1], max_size=MAX_BYTES) as socket:
                page = Page(socket)
                await page.open(url)
                yield page
        finally:
            process.terminate()
            await asyncio.wait((reading,), timeout=DEADLINE_S)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
