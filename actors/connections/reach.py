"""Looks whether a host can be reached: its name, its port, its certificate; not a byte of a protocol is sent."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from actors.core.examination import Finding

RESOLVE_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 5.0
HANDSHAKE_TIMEOUT_S: Final = 5.0
EXPIRES_SOON_S: Final = 14 * 86400.0

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_UNKNOWN: Final = (18, 19, 20, 21)
"""Self-signed, or of an authority that is not trusted."""


async def reach(host: str, port: int, *, tls: ssl.SSLContext | None = None, time: Callable[[], float]) -> Finding:
    """Resolve, connect, with `tls` shake hands, and disconnect; `time` gives epoch seconds."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        text = f"the name {host} does not resolve: {error.strerror}"
        return Finding("problem", text, "correct the host, or this machine's name servers")
    except TimeoutError:
        text = f"the name {host} was not resolved within {RESOLVE_TIMEOUT_S:g} s"
        return Finding("problem", text, "look at this machine's name servers")
    except OSError as error:
        return Finding("problem", f"the name {host} does not resolve: {_reason(error)}", "correct the host")
    except UnicodeError:
        return Finding("problem", f"{host!r} is no host name", "correct the host")
    failures = []
    for address in dict.fromkeys(info[4][:2] for info in found):
        finding = await _connect(str(address[0]), port, host, where, tls, time)
        if finding.level != "problem":
            return finding
        failures.append(finding)
    return failures[0]


async def _connect(
    address: str, port: int, host: str, where: str, tls: ssl.SSLContext | None, time: Callable[[], float]
) -> Finding:
    shake: dict[str, Any] = {} if tls is None else {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S + HANDSHAKE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                address, port, ssl=tls, server_hostname=None if tls is None else host, **shake
            )
    except ssl.SSLCertVerificationError as error:
        return _refused(error, where)
    except ssl.SSLError as error:
        why = (error.reason or str(error)).replace("_", " ").lower()
        return Finding("problem", f"{where}: no TLS: {why}", "does TLS belong on that port? Correct scheme or port")
    except TimeoutError:
        return Finding("problem", f"{where} does not answer", "is the host up, and does a firewall stand in between?")
    except ConnectionAbortedError:  # asyncio's word for a handshake that takes too long
        text = f"{where} takes connections, and does not answer to TLS"
        return Finding("problem", text, "does TLS belong on that port? Correct scheme or port")
    except OSError as error:
        return _unreachable(error, where, tls is not None)
    try:
        return _reached(writer, where, tls, time)
    finally:
        writer.transport.abort()


def _unreachable(error: OSError, where: str, with_tls: bool) -> Finding:
    match error:
        case ConnectionRefusedError():
            return Finding("problem", f"nobody listens at {where}", "start what should, or correct host and port")
        case ConnectionResetError() if with_tls:
            text = f"{where} takes connections, and closes them when TLS begins"
            return Finding("problem", text, "does TLS belong on that port? Correct scheme or port")
    advice = "correct host and port"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
        advice = "look at network, VPN and firewall"
    return Finding("problem", f"no connection to {where}: {_reason(error)}", advice)


def _refused(error: ssl.SSLCertVerificationError, where: str) -> Finding:
    code, why = error.verify_code, error.verify_message
    advice = "look at the server's certificate"
    if code == _EXPIRED:
        advice = "renew the server's certificate; if it is valid, set this machine's clock"
    elif code == _NOT_YET:
        advice = "set the clock of this machine, or of the one that made the certificate"
    elif code in _OTHER_NAME:
        advice = "use a host that stands in the certificate, or have this one put into it"
    elif code in _UNKNOWN:
        advice = "name the file of its authority with tls.ca"
    return Finding("problem", f"{where}: its certificate is not valid: {why.rstrip('.')}", advice)


def _reached(
    writer: asyncio.StreamWriter, where: str, tls: ssl.SSLContext | None, time: Callable[[], float]
) -> Finding:
    if tls is None:
        return Finding("ok", f"{where} takes connections")
    version = writer.get_extra_info("ssl_object").version()
    if tls.verify_mode == ssl.CERT_NONE:
        text = f"{where} takes connections, {version}, and its certificate is not looked at"
        return Finding("warning", text, "remove `tls.verify: false`, which lets anybody in between read along")
    left_s = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"]) - time()
    text = f"{where} takes connections, {version}, certificate valid for {_days(left_s)}"
    if left_s < EXPIRES_SOON_S:
        return Finding("warning", text, "renew the server's certificate")
    return Finding("ok", text)


def _days(left_s: float) -> str:
    days = int(left_s // 86400)
    return "less than a day" if days < 1 else "1 day" if days == 1 else f"{days} days"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno is not None and error.errno > 0 else str(error)
