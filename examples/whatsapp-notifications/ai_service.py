"""Stands in for ai-clientes and ai-proveedores: posts a notification again and again, and says what was answered.

    python ai_service.py ai-clientes --to http://127.0.0.1:8080/wa-clientes/send

What is not answered with 2xx is posted again, a second later and under the same key: that is a sender's part in
"at least once". Needs nothing but Python.
"""

# ruff: noqa: INP001  # a program, and no module of a package

from __future__ import annotations

import argparse
import json
import time
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from urllib.parse import urlsplit

AGAIN_S = 1.0
TIMEOUT_S = 40.0
"""More than a webhook lets its sender wait."""

# One of Ecuador and one of Colombia, as people and as WhatsApp write them.
PHONES = ("099 123 4567", "+593 99 123 4567", "593991234567@c.us", "+57 300 123 4567", "573001234567@c.us")


class Router:
    """Where the notifications go; one connection, opened again when it broke."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._path = where.path
        self._connection = HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=TIMEOUT_S)

    def post(self, key: str, phone: str) -> str:
        """What was answered: a status, or why there is none."""
        body = json.dumps({"message_id": key, "to": phone, "text": "hola"})
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            return str(error) or type(error).__name__
        return str(response.status)


def main() -> None:
    parser = argparse.ArgumentParser(description="Stands in for an AI service.")
    parser.add_argument("name", help="its name, with which its keys begin")
    parser.add_argument("--to", required=True, metavar="URL", help="where it posts")
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS", help="how long it waits in between")
    parser.add_argument("--messages", type=int, metavar="N", help="how many it posts; else until Ctrl-C")
    given = parser.parse_args()

    router, accepted, tries = Router(given.to), 0, 0
    # What the router has passed on within the hour it would take for the same again.
    run = time.strftime("%H%M%S")
    try:
        for number, phone in zip(count(1), cycle(PHONES), strict=False):
            key, answer = f"{given.name}-{run}-{number}", ""
            while not answer.startswith("2"):
                if answer:
                    time.sleep(AGAIN_S)
                began_at = time.perf_counter()
                answer = router.post(key, phone)
                tries += 1
                print(f"{key}: {answer} in {(time.perf_counter() - began_at) * 1000:.0f}ms", flush=True)
            accepted += 1
            if number == given.messages:
                break
            time.sleep(given.every)
    except KeyboardInterrupt:
        pass
    print(f"{given.name}: {accepted} accepted, in {tries} posts", flush=True)


if __name__ == "__main__":
    main()
