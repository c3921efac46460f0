"""kill -9 of the router under load: at random moments, and at named places around commit, send and answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.account import Account, Verdict
from tests.faults.draining import drain
from tests.faults.failpoints import PLACES
from tests.faults.killing import kill_again_and_again
from tests.faults.producer import REFUSED_EVERY, Producer, posting
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.servers import free_port

TOPOLOGY = """
router: 1
name: kill-router
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
actors:
  in: {{type: webhook, path: /in, decode: json}}
  out: {{type: http, url: "{sink}/out", timeout: 5s}}
routes:
  through:
    from: in
    durable: true
    order_by: "{{{{ data.key }}}}"
    concurrency: 4
    retry: {{attempts: 10, delay: 50ms, max_delay: 500ms}}
    steps:
      - dedup: {{key: "{{{{ data.id }}}}", for: 1h}}
    to: out
"""


async def kill_router(
    folder: Path, *, rounds: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds)."""
    account = Account()
    wrong: list[str] = []
    port = free_port()
    async with recording_sink(account) as sink:
        topology = folder / "topology.yaml"
        topology.write_text(TOPOLOGY.format(port=port, sink=sink))
        router = RouterProcess(topology, folder / "state")
        async with (
            posting(f"http://127.0.0.1:{port}/in", account) as way,
            Producer(way, account, refused_every=REFUSED_EVERY) as producer,
        ):
            await kill_again_and_again(
                router,
                producer,
                account,
                places=PLACES,
                rounds=rounds,
                chance=random.Random(seed),
                wrong=wrong,
                say=say,
            )
        await drain(router, account, wrong)
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    return account.verdict(), wrong
