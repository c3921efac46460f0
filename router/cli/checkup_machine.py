"""Looks at what a router has from its machine: open files, the clock, and the files that a topology is made of."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.core.examination import Finding
from router.topology.model import Topology

FEW_FILES: Final = 1024
"""Each connection is one, on both sides."""
LONG_AGO_S: Final = 1_767_225_600.0
"""The beginning of 2026: this code did not exist before."""

_FILE: Final = re.compile(r"\$\{file:([^}]+)\}")


def examine_machine(now_s: float) -> Iterator[Finding]:
    """How many files may be open, and whether the clock can be right."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        yield Finding("ok", "any number of files may be open")
    elif files >= FEW_FILES:
        yield Finding("ok", f"{files:,} files may be open")
    else:
        advice = "let the system allow more, such as LimitNOFILE=65536 in its systemd unit: each connection is one"
        yield Finding("warning", f"{files:,} files may be open", advice)
    if now_s < LONG_AGO_S:
        advice = "set it: certificates, signed requests and retention depend on it"
        yield Finding("problem", "the clock is wrong: it shows a time before this version was made", advice)


def examine_files(topology: Topology) -> Iterator[Finding]:
    """Who else may write the topology, and who else may read the secrets that it names."""
    if topology.path is not None:
        yield from _not_writable(topology.path)
    names = dict.fromkeys(_FILE.findall(topology.text))
    secrets = [topology.directory / name for name in names]
    listeners = (topology.settings.http.tls, topology.settings.control.tls)
    secrets += [topology.directory / tls.key for tls in listeners if tls is not None]
    for path in secrets:
        yield from _not_readable(path)


def _not_writable(path: Path) -> Iterator[Finding]:
    mode = _mode(path)
    if mode is None:
        return
    if mode & 0o022:
        text = f"others may write {path} (mode {mode:04o}), and so run code as the router"
        yield Finding("warning", text, f"chmod go-w {path}")
    else:
        yield Finding("ok", f"{path} is valid")


def _not_readable(path: Path) -> Iterator[Finding]:
    mode = _mode(path)
    if mode is None:  # named in a comment only, or else validation has told it
        return
    if mode & 0o077:
        yield Finding("warning", f"others may read the secret in {path} (mode {mode:04o})", f"chmod 600 {path}")
    elif os.access(path, os.R_OK):
        yield Finding("ok", f"{path} is readable, and by its owner alone")
    else:
        yield Finding("problem", f"{path} is not readable", "give it to the user that the router runs as")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
