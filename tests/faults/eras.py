"""Which topology may have handled a message: those that ran at some moment between its sending and its delivery."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from tests.faults.account import Account


@dataclass(frozen=True, slots=True)
class Era:
    """The time of one topology. Moments are monotonic seconds."""

    version: int
    asked: float
    """When it was asked for: it may have run from then on."""
    answered: float = inf
    """When it was known to run: what was sent behind that, no earlier one may have handled. `inf`: never."""


class Eras:
    """The topologies that ran, one after the other. A change that was refused has none."""

    def __init__(self) -> None:
        self._eras: list[Era] = []

    def add(self, version: int, asked: float, answered: float = inf) -> None:
        self._eras.append(Era(version, asked, answered))

    @property
    def versions(self) -> set[int]:
        return {era.version for era in self._eras}

    def mixed(self, account: Account) -> Iterator[str]:
        """A sentence for each delivery by a topology that did not run while the message was under way."""
        asked = [era.asked for era in self._eras]
        known = [(era.answered, number) for number, era in enumerate(self._eras) if era.answered < inf]
        answers = [at for at, _ in known]
        for one in account.received:
            sent = account.sent.get(one.id, one.at)
            last_known = bisect_right(answers, sent)
            first = known[last_known - 1][1] if last_known else 0
            last = bisect_right(asked, one.at)
            if one.version not in {era.version for era in self._eras[first:last]}:
                ran = _listed(era.version for era in self._eras[first:last])
                yield f"{one.id} was handled by topology {one.version}, while {ran} ran"


def _listed(versions: Iterable[int]) -> str:
    return ", ".join(map(str, dict.fromkeys(versions))) or "none"
