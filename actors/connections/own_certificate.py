"""Until when a certificate of our own is valid.

The standard library tells it of a peer's alone, so both sides of a handshake are here.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

TURNS: Final = 10
"""A handshake takes two."""


def valid_until(cert: Path, key: Path) -> float:
    """Epoch seconds. Raises OSError (ssl.SSLError is one) where the files cannot be read or do not belong together,
    and where the certificate is not valid now."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(cert, key)
    # Whoever signed it, we trust it itself.
    client_side = ssl.create_default_context(cafile=str(cert))
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client_side.check_hostname = False
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up)
    server = server_side.wrap_bio(up, down, server_side=True)
    for _ in range(TURNS):
        # Both have their turn, whether or not the first has come to its end.
        if all([_shaken(client), _shaken(server)]):
            break
    found = client.getpeercert()
    assert found, "verified"
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
