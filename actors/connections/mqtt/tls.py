"""TLS to a broker, as a connection's options want it."""

from __future__ import annotations

import ssl
from pathlib import Path

from actors.connections.mqtt.options import TlsOptions
from actors.core.errors import RouterError


def tls_context(tls: TlsOptions, folder: Path) -> ssl.SSLContext:
    """Reads the files, whose paths begin at `folder`; raises `RouterError` where they cannot be used."""
    try:
        context = ssl.create_default_context(cafile=_path(folder, tls.ca))
        if tls.cert is not None:
            context.load_cert_chain(folder / tls.cert, _path(folder, tls.key))
    except (OSError, ValueError) as error:
        raise RouterError(f"cannot use the certificates: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _path(folder: Path, name: str | None) -> str | None:
    return None if name is None else str(folder / name)
