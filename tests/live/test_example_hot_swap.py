"""examples/hot-swap: what a newcomer sees who runs it."""

import os
import re
import subprocess

from tests.router_command import ROOT, environment


def test_three_changes_lose_nothing() -> None:
    """Three reports that balance, and a last line that says that all arrived, in order, and nobody was refused."""
    done = subprocess.run(
        [ROOT / "examples" / "hot-swap" / "run", "--rate", "100"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**environment(), "HTTP_PORT": "1", "NO_COLOR": "1"},
        cwd=os.sep,
    )

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert [line for line in said.splitlines() if line.startswith("$")] == [
        "$ router apply five-percent.yaml",
        "$ router apply mqtt.yaml",
        "$ router apply http.yaml",
    ]
    assert said.count("nothing was lost: both sides agree on 2 routes") == 3
    accepted = re.search(r"^([\d,]+) messages were accepted, and 0 of them are missing; ", said, re.MULTILINE)
    assert accepted is not None, said
    assert int(accepted[1].replace(",", "")) > 300
    assert re.search(r"0 out of order; 0 posts were refused\.\nLongest gap: \d+ ms\.$", said, re.MULTILINE), said
    by_mqtt = [int(number) for number in re.findall(r"^meanwhile .*?(\d+) by MQTT", said, re.MULTILINE)]
    assert len(by_mqtt) == 3
    assert by_mqtt[1] > by_mqtt[0]
