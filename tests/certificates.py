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


AUTHORITY = """\
[ca]
default_ca = it
[it]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1,DNS:localhost
"""


def expired(folder: Path) -> tuple[Path, Path]:
    """Like `self_signed`, of the year 2020: `openssl req` makes none that is not valid now."""
    cert, key, request, config = (folder / name for name in ("cert.pem", "key.pem", "request.pem", "ca.conf"))
    config.write_text(AUTHORITY.format(folder=folder))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    key_options = COMMAND.replace("-x509 ", "").replace("-days 2 ", "").split()
    dates = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
    signing = ["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", str(config), "-extensions", "names"]
    for command in (
        [*key_options, "-keyout", str(key), "-out", str(request)],
        [*signing, *dates, "-keyfile", str(key), "-in", str(request), "-out", str(cert)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return cert, key
