"""`router doctor`, as far as it needs no server; tests/live has brokers and a running router."""

import asyncio
import json
import os
import resource
import socket
import time
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.core.clock import LoopClock
from actors.core.examination import ExamineContext, Finding
from router.catalog import Catalog
from router.cli import checkup, checkup_machine, checkup_state_dir, doctor
from router.cli.checkup import Checked
from router.store.state_dir import StateDir
from tests.certificates import expired, self_signed
from tests.loop import Run
from tests.router.cli.conftest import Cli
from tests.servers import HOST, free_port

SHOP = """\
router: 1
name: shop
settings: {http: {port: 0}}
actors:
  orders: {type: webhook, path: /orders}
  log: {type: log}
  off: {type: http, url: "http://no-such-host.invalid/", enabled: false}
routes:
  to-log: {from: orders, to: log, fallback: off}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the topology is, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "topology.yaml").write_text(SHOP)
    (tmp_path / "topology.yaml").chmod(0o644)
    return tmp_path


def found(cli: Cli, kind: str, name: str = "") -> list[tuple[str, str, str]]:
    """What the command finds of one part: level, text and advice."""
    findings = cli("doctor", "--json").json["findings"]
    return [
        (each["level"], each["text"], each["advice"])
        for each in findings
        if (each["kind"], each["name"]) == (kind, name)
    ]


def examined(run: Run, folder: Path, type: str, options: dict[str, Any]) -> Sequence[Finding]:
    """What an actor type finds of one with these options."""
    spec = Catalog.installed().endpoint(type)

    async def main() -> Sequence[Finding]:
        assert spec.examine is not None
        context = ExamineContext("it", LoopClock(), folder, folder, {})
        return await spec.examine(spec.options.model_validate(options), context)

    return run(main())


def test_all_is_well_with_what_needs_nothing(cli: Cli, folder: Path) -> None:
    """A line for each part; nothing was made."""
    ended = cli("doctor")
    assert (ended.code, ended.errors) == (0, "")
    lines = ended.output.splitlines()
    assert [line[:26].rstrip() for line in lines[:-2]] == [
        "ok       files",
        "ok       machine",
        "ok       state directory",
        "ok       listener http",
        "ok       actor orders",
        "ok       actor log",
        "ok       actor off",
    ]
    assert lines[3].endswith("  takes a free port of 127.0.0.1")
    assert lines[5].endswith("  there is nothing to reach")
    assert lines[6].endswith("  disabled")
    assert lines[-2:] == ["", "no problems"]
    assert os.listdir(folder) == ["topology.yaml"]


def test_a_problem_is_1_and_problems_of_the_file_are_78(cli: Cli, folder: Path) -> None:
    """Advice stands below what it is about."""
    (folder / "topology.yaml").write_text(SHOP.replace(", enabled: false", ""))
    ended = cli("doctor")
    assert ended.code == 1
    assert "problem  actor off        the name no-such-host.invalid does not resolve: " in ended.output
    assert "\n                          › correct the host, or this machine's name servers\n" in ended.output
    assert ended.output.endswith("\n1 problem\n")
    (folder / "topology.yaml").write_text(SHOP.replace("to: log", "to: lgo"))
    ended = cli("doctor")
    assert (ended.code, ended.output) == (78, "")
    assert "unknown actor 'lgo'" in ended.errors


def test_machines_get_all_findings(cli: Cli) -> None:
    """And the counts."""
    ended = cli("doctor", "--json")
    answer = json.loads(ended.output)
    assert (answer["file"], answer["problems"], answer["warnings"]) == ("topology.yaml", 0, 0)
    assert answer["findings"][-1] == {
        "kind": "actor",
        "name": "off",
        "type": "http",
        "level": "ok",
        "text": "disabled",
        "advice": "",
    }


def test_lines_are_wrapped_where_the_terminal_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under what they belong to; a terminal is sent nothing that it would obey."""
    monkeypatch.setattr(doctor, "terminal_width", lambda: 80)
    text = f"{'word ' * 20}\x1b[2J{'x' * 80}"
    doctor._show([Checked("actor", "a" * 60, "log", (Finding("warning", text, "advice " * 12), Finding("ok", "fine")))])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\\x1b[2J" in "".join(lines).replace(" ", "")
    assert lines[0].startswith(f"warning  actor {'a' * 21}…  word")
    assert lines[-1] == f"ok{'':37}fine"
    assert all(line.startswith(" " * 39) for line in lines[1:-1])


# Listeners


def test_a_port_that_is_in_use_is_a_problem(cli: Cli, folder: Path) -> None:
    """With who holds it: here this very process."""
    port = free_port()
    (folder / "topology.yaml").write_text(SHOP.replace("port: 0", f"port: {port}"))
    assert found(cli, "listener", "http") == [("ok", f"127.0.0.1:{port} is free", "")]
    with socket.create_server((HOST, port)):
        ((level, text, advice),) = found(cli, "listener", "http")
    assert level == "problem"
    assert text.startswith(f"cannot listen on 127.0.0.1:{port}: the port is in use")
    assert f"(process {os.getpid()})" in text
    assert advice == "end what listens there, or choose another address in settings.http"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_a_problem(cli: Cli, folder: Path, host: str) -> None:
    """For the second listener as for the first."""
    text = SHOP.replace("settings: {", f"settings: {{observe: {{listen: '{host}:9464'}}, ")
    (folder / "topology.yaml").write_text(text)
    ((level, text, _),) = found(cli, "listener", "observe")
    assert (level, text.startswith(f"cannot listen on {host}")) == ("problem", True)


def test_the_control_apis_listener_is_looked_at_where_it_has_one(cli: Cli, folder: Path) -> None:
    """Besides its Unix socket."""
    port = free_port()
    control = f"control: {{listen: '{HOST}:{port}', tokens: {{admin: correct-horse-battery}}}}"
    (folder / "topology.yaml").write_text(SHOP.replace("settings: {", f"settings: {{{control}, "))
    assert found(cli, "listener", "control") == [("ok", f"{HOST}:{port} is free", "")]


def test_without_webhooks_there_is_no_listener(cli: Cli, folder: Path) -> None:
    """Its port may be anybody's."""
    (folder / "topology.yaml").write_text(SHOP.replace("{type: webhook, path: /orders}", "{type: timer, every: 1h}"))
    assert found(cli, "listener", "http") == []


def test_the_listeners_certificate_is_looked_at(cli: Cli, folder: Path) -> None:
    """Files, key and end."""
    tls = "settings: {http: {port: 0, tls: {cert: cert.pem, key: key.pem}}}"
    (folder / "topology.yaml").write_text(SHOP.replace("settings: {http: {port: 0}}", tls))
    assert found(cli, "listener", "http")[1][1].startswith("certificate or key cannot be read: No such file")
    self_signed(folder)
    level, text, advice = found(cli, "listener", "http")[1]
    assert (level, advice) == ("warning", "renew it")
    assert text.startswith("the certificate is valid until ")
    expired(folder)
    assert found(cli, "listener", "http")[1] == (
        "problem",
        "the certificate cert.pem is not valid: certificate has expired",
        "renew it",
    )


# The state directory


def test_a_state_directory_is_looked_at_and_left_alone(folder: Path) -> None:
    """Its holder keeps it, and afterwards it is free."""
    path = folder / "state"
    with StateDir(path):
        first = checkup_state_dir.examine(path)[0]
        assert first.level == "ok"
        assert f"{path} is in use by process {os.getpid()} " in first.text
        holder = checkup_state_dir.holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()
    written = json.loads((path / "lock").read_text())
    (path / "lock").write_text(json.dumps({**written, "started_ticks": 1}))
    assert checkup_state_dir.holder(path) is None
    assert checkup_state_dir.examine(path)[0] == Finding("ok", f"{path} is free")
    before = sorted((entry.name, entry.stat().st_mtime_ns) for entry in path.iterdir())
    assert [finding.level for finding in checkup_state_dir.examine(path)] == ["ok", "ok"]
    assert sorted((entry.name, entry.stat().st_mtime_ns) for entry in path.iterdir()) == before


def test_a_state_directory_that_others_can_read_is_a_warning(folder: Path) -> None:
    """With each file that they could read in it."""
    path = folder / "state"
    with StateDir(path):
        pass
    (path / "store.db").touch(mode=0o644)
    assert all(finding.level == "ok" for finding in checkup_state_dir.examine(path))
    path.chmod(0o755)
    warnings = [finding for finding in checkup_state_dir.examine(path) if finding.level == "warning"]
    assert [finding.advice for finding in warnings] == [f"chmod 700 {path}", f"chmod 600 {path / 'store.db'}"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"letter.txt": "dear"}, "is not a state directory: it holds 'letter.txt'"),
        ({"format": "99\n"}, "has format '99', and this version knows formats up to 1"),
        ({"format": "\x1b"}, "and this version knows formats up to 1"),
    ],
)
def test_a_state_directory_that_cannot_be_used_is_a_problem(folder: Path, files: dict[str, str], why: str) -> None:
    """As a start would say."""
    path = folder / "state"
    path.mkdir(mode=0o700)
    for name, text in files.items():
        (path / name).write_text(text)
    (finding,) = checkup_state_dir.examine(path)
    assert finding.level == "problem"
    assert why in finding.text


def test_a_state_directory_in_the_wrong_place_is_a_problem(folder: Path) -> None:
    """A file, or a path that is too long for a socket."""
    (folder / "state").write_text("")
    assert checkup_state_dir.examine(folder / "state")[0].text.endswith(" is no directory")
    (finding,) = checkup_state_dir.examine(folder / "state" / "below")
    assert (finding.level, "cannot be made" in finding.text) == ("problem", True)
    (finding,) = checkup_state_dir.examine(folder / ("x" * 120))
    assert finding.level == "problem"
    assert "107" in finding.text
    assert finding.advice == "choose a shorter settings.state_dir"


def test_a_disk_that_is_full_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that soon will be a warning."""
    for free, level in ((1, "problem"), (100, "warning"), (1000, "ok")):
        monkeypatch.setattr(checkup_state_dir, "RESERVE_BYTES", 50)
        monkeypatch.setattr(checkup_state_dir, "AMPLE_BYTES", 500)
        monkeypatch.setattr(os, "statvfs", lambda _, free=free: os.statvfs_result((1, 1, free, free, free, *[0] * 5)))
        assert checkup_state_dir.examine(folder / "state")[0].level == level
        monkeypatch.undo()


# The machine and the files


def test_few_open_files_are_a_warning() -> None:
    """With the line that changes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        (finding,) = checkup_machine.examine_machine(time.time())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (finding.level, finding.text) == ("warning", "256 files may be open")
    assert "LimitNOFILE=65536" in finding.advice


def test_as_many_clients_as_files_may_be_open(run: Run, folder: Path) -> None:
    """More are a warning where the topology asks for them by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1128, hard))
        for options, level, text in (
            ({}, "ok", "up to 1,000 clients at a time, by the number of files that may be open"),
            ({"max_clients": 1000}, "ok", "up to 1,000 clients at a time"),
            (
                {"max_clients": 1001},
                "warning",
                "up to 1,000 clients at a time, by the number of files that may be open",
            ),
        ):
            (finding,) = examined(run, folder, "websocket", {"path": "/ws", **options})
            assert finding.level == level
            assert finding.text.startswith(text)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_clock_that_was_never_set_is_a_problem() -> None:
    """It shows the year 1970."""
    assert [finding.level for finding in checkup_machine.examine_machine(12.0)][-1] == "problem"


def test_files_that_others_can_read_or_write_are_warnings(cli: Cli, folder: Path) -> None:
    """Who may write the topology may run code; who may read a secret has it."""
    text = SHOP.replace("path: /orders", 'path: /orders, verify: {bearer: "${file:token}"}')
    (folder / "topology.yaml").write_text(f"# not this one: ${{file:nowhere}}\n{text}")
    (folder / "token").write_text("hush-hush")
    (folder / "token").chmod(0o600)
    assert [level for level, _, _ in found(cli, "files")] == ["ok", "ok"]
    (folder / "token").chmod(0o644)
    (folder / "topology.yaml").chmod(0o666)
    assert found(cli, "files") == [
        (
            "warning",
            "others may write topology.yaml (mode 0666), and so run code as the router",
            "chmod go-w topology.yaml",
        ),
        ("warning", "others may read the secret in token (mode 0644)", "chmod 600 token"),
    ]
    ended = cli("doctor")
    assert ended.code == 0
    assert ended.output.endswith("\nno problems, 2 warnings\n")
    assert "hush" not in ended.output


# Examinations


def test_an_examination_that_fails_is_a_problem_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is one without an end; the others go on."""
    monkeypatch.setattr(checkup, "DEADLINE_S", 0.05)

    async def broken() -> Sequence[Finding]:
        raise ValueError("no URL: mqtt://joe:pw@host")

    async def endless() -> Sequence[Finding]:
        await asyncio.Event().wait()
        return []

    async def main() -> list[Finding]:
        room = asyncio.Semaphore(2)
        asked: Iterator[Awaitable[Sequence[Finding]]] = iter([broken(), endless()])
        return [checkup._shown((await checkup._examined(each, room))[0]) for each in asked]

    failed, late = run(main())
    assert failed.text == "it could not be looked at: ValueError: no URL: mqtt://***@host"
    assert late.text == "looking at it took more than 0.05 s"
    assert (failed.level, late.level) == ("problem", "problem")


def test_a_module_of_the_users_is_looked_for_and_not_imported(run: Run, folder: Path) -> None:
    """Beside the topology, as when the router runs."""
    (folder / "own_code.py").write_text("raise SystemExit('imported')")
    (finding,) = examined(run, folder, "python", {"class": "own_code:A"})
    assert finding == Finding("ok", f"own_code is {folder.resolve() / 'own_code.py'}; it was not imported")
    (finding,) = examined(run, folder, "python", {"class": "none_such.x:A"})
    assert (finding.level, finding.text) == ("problem", "there is no module none_such.x")
