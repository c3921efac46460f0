"""Node programs of the tests, their packages installed beside them (an ignored folder)."""

import fcntl
import subprocess
from pathlib import Path

from tests import system

FOLDER = Path(__file__).resolve().parent / "node"
INSTALL_TIMEOUT_S = 300.0


def node_client(name: str) -> list[str]:
    """The command that runs tests/node/NAME, once its packages are there; leaves the test out without Node."""
    system.require("node", "npm")
    wanted, stamp = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".installed"
    # Test processes beside each other wait for the one that came first.
    with (FOLDER / "package.json").open() as packages:
        fcntl.flock(packages, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted.read_text():
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--silent"],
                cwd=FOLDER,
                stdin=subprocess.DEVNULL,
                timeout=INSTALL_TIMEOUT_S,
                check=True,
            )
            stamp.write_text(wanted.read_text())
    return ["node", str(FOLDER / name)]
