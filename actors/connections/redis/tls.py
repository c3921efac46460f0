"""TLS to a Redis, as a connection's options want it."""

from __future__ import annotations

import ssl
from pathlib import Path

from actors.connections.redis.options import RedisTlsOptions
from actors.core.errors import RouterError


def tls_context(tls: RedisTlsOptions, folder: Path) -> ssl.SSLContext:
    """Reads the files, whose paths begin at `folder`; raises `RouterError` where they cannot be used."""
    try:
        context = ssl.create_default_context(cafile=None if tls.ca is None else str(folder / tls.ca))
        if tls.cert is not None:
            context.load_cert_chain(folder / tls.cert, None if tls.key is None else folder / tls.key)
    except (OSError, ValueError) as error:
        raise RouterError(f"cannot use the certificates: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
