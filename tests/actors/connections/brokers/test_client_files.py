"""What mosquitto's own clients read of a broker in the house."""

import stat
from pathlib import Path

import pytest

from actors.connections.mqtt.brokers.client_files import PROGRAMS, write_client_files
from actors.connections.mqtt.brokers.house_broker import Address, Login


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_a_file_of_its_own(tmp_path: Path, program: str) -> None:
    """With a password in it, and so for nobody else's eyes."""
    write_client_files(tmp_path, Address("127.0.0.1", 1884), Login("pointsman", "-s3cret"))
    path = tmp_path / program
    assert path.read_text() == "-h 127.0.0.1\n-p 1884\n-V mqttv5\n-u pointsman\n-P -s3cret\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_login_only_the_address_is_there(tmp_path: Path) -> None:
    """Also over an older file; of all addresses of the machine the one to connect to."""
    write_client_files(tmp_path, Address("127.0.0.1", 1884), Login("pointsman", "s3cret"))
    write_client_files(tmp_path, Address("0.0.0.0", 1885), None)
    assert (tmp_path / "mosquitto_sub").read_text() == "-h 127.0.0.1\n-p 1885\n-V mqttv5\n"
