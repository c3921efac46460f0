"""Ports that are named, ports that are free, and who has those that are not."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.connections.mqtt.brokers import process_table
from actors.connections.mqtt.brokers.house_broker import Address
from actors.connections.mqtt.brokers.ports import choose, is_free
from actors.core.errors import RouterError

ANY = Address("127.0.0.1", 0)


@contextmanager
def taken(host: str = "127.0.0.1") -> Iterator[Address]:
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        yield Address(host, listener.getsockname()[1])


def test_a_free_port_is_one_that_can_be_had_and_no_two_are_the_same() -> None:
    chosen = choose(dict.fromkeys(("mqtt", "mqtt5", "websocket"), ANY), {})
    assert all(address.port and is_free(address) for address in chosen.values())
    assert len({address.port for address in chosen.values()}) == 3


def test_the_port_from_before_is_taken_again() -> None:
    """So that clients find a broker that started anew."""
    before = choose({"mqtt": ANY}, {})
    assert choose({"mqtt": ANY}, before) == before


def test_where_the_port_from_before_is_gone_another_is_chosen() -> None:
    with taken() as gone:
        assert choose({"mqtt": ANY}, {"mqtt": gone})["mqtt"] != gone


def test_a_named_port_wins_over_the_one_from_before() -> None:
    named = choose({"mqtt": ANY}, {})["mqtt"]
    with taken() as before:
        assert choose({"mqtt": named}, {"mqtt": before}) == {"mqtt": named}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_named_port_in_use_is_an_error_that_names_who_has_it(host: str) -> None:
    with taken(host) as address:
        wanted = Address("127.0.0.1", address.port)
        with pytest.raises(RouterError) as refused:
            choose({"mqtt": wanted}, {})
    assert f"cannot listen on {wanted}: the port is in use by " in str(refused.value)
    assert f"(process {os.getpid()})" in str(refused.value)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(RouterError, match=r"192\.0\.2\.77:1883: cannot assign requested address"):
        choose({"mqtt": Address("192.0.2.77", 1883)}, {})


def test_a_process_is_known_to_listen_only_where_it_does() -> None:
    with taken() as address:
        assert process_table.listens(os.getpid(), address.port)
        assert not process_table.listens(os.getppid(), address.port)
    assert not process_table.listens(os.getpid(), address.port)
    assert process_table.who_listens(address.port) is None


def test_a_process_is_told_from_a_later_one_by_its_start() -> None:
    assert process_table.started_ticks(os.getpid()) == process_table.started_ticks(os.getpid())
    assert process_table.started_ticks(os.getpid()) != process_table.started_ticks(1)
    assert process_table.started_ticks(2**22 + 1) is None
