"""How many files a router may have open."""

import resource
import sys
from pathlib import Path

from tests.router_command import RunningRouter

TOPOLOGY = """\
router: 1
name: files
actors:
  tick: {type: timer, every: 365d}
  log: {type: log}
routes:
  pass-on: {from: tick, to: log}
"""


def test_a_router_takes_the_files_that_the_system_allows(tmp_path: Path) -> None:
    """Shells start it with a soft limit that is far below the hard one."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    few = ("sh", "-c", 'ulimit -Sn 256; exec "$0" "$@"', sys.executable, "-m", "router")
    with RunningRouter(tmp_path, command=few) as running:
        soft, hard = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
        assert soft >= min(hard, 10_000)
