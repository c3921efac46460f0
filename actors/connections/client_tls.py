"""TLS to a server, as the options of a connection want it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from actors.core.errors import RouterError
from actors.core.option_problem import OptionProblem
from actors.core.spec import Options


class ClientTlsOptions(Options):
    """How the server is known, and how the router is; files in PEM format, relative to the topology's folder."""

    verify: bool = True
    """Whether the server's certificate must be valid; `false` lets anybody in between read along."""
    ca: str | None = None
    """A file of the authorities to trust in place of the system's."""
    cert: str | None = None
    """A file with the router's own certificate, where the server asks for one."""
    key: str | None = None
    """A file with that certificate's key."""

    def problems(self) -> Iterator[OptionProblem]:
        """What its parts do not show by themselves, below the option `tls`."""
        if self.key is not None and self.cert is None:
            yield OptionProblem(("tls", "key"), "belongs to a 'cert'", "give that as well")


def tls_context(tls: ClientTlsOptions, folder: Path) -> ssl.SSLContext:
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
