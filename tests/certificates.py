"""Self-signed certificates for loopback, made with openssl."""

import subprocess
from pathlib import Path

COMMAND = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate and its key, as PEM files in `folder`."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [*COMMAND.split(), "-addext", NAMES, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return cert, key
