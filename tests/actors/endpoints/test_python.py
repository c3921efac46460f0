"""Actor classes of the user's, on the loop and on threads."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.core.spec import ENDPOINT, EndpointSpec
from actors.endpoints.python import ActorClassError, Python, PythonOptions
from tests.loop import Run
from tests.stage import stage

MODULE = "users_actors"
MESSAGE = Message("1", "orders", "you")


@pytest.fixture(autouse=True)
def users_actors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the folder of these tests where a user's package would be."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield
    sys.modules.pop(MODULE, None)


@pytest.mark.parametrize("name", ["Greeter", "Worker"])
def test_a_class_of_the_users_receives_answers_and_hands_on(run: Run, name: str) -> None:
    """With its args, and with the outlet and the context where it asks for them."""

    async def main() -> None:
        async with stage() as played:
            options = {"class": f"{MODULE}:{name}", "args": {"greeting": "hi"}}
            actor = await played.start(Python, options, name="ann")
            assert await actor.deliver(MESSAGE) == "hi you, says ann"
            assert [message.data for message in played.outlet.messages] == ["seen"]

    run(main())


@pytest.mark.parametrize("name", ["Greeter", "Worker"])
def test_a_delivery_error_of_theirs_is_a_failed_attempt(run: Run, name: str) -> None:
    """Unlike other exceptions, which are crashes."""

    async def main() -> None:
        async with stage() as played:
            actor = await played.start(Python, {"class": f"{MODULE}:{name}", "args": {"greeting": "hi"}})
            with pytest.raises(DeliveryError, match="not today"):
                await actor.deliver(MESSAGE.with_data("refuse"))

    run(main())


def test_any_other_exception_is_a_crash(run: Run) -> None:
    """The supervisor hears of it."""

    async def main() -> None:
        async with stage() as played:
            actor = await played.start(Python, {"class": f"{MODULE}:Greeter", "args": {"greeting": "hi"}})
            with pytest.raises(Exception, match="crashed"):
                await actor.deliver(MESSAGE.with_data("crash"))
            await actor.over.wait()
            assert isinstance(actor.error, ZeroDivisionError)

    run(main())


def test_a_thread_may_say_that_it_is_away(run: Run) -> None:
    """Its word reaches the loop."""

    async def main() -> None:
        async with stage() as played:
            actor = await played.start(Python, {"class": f"{MODULE}:Worker"})
            await actor.deliver(MESSAGE.with_data("away"))
            await played.until(lambda: played.standing.away)

    run(main())


@pytest.mark.parametrize("name", ["Plain", "Inner.Nested"])
def test_a_class_that_wants_nothing_gets_nothing(run: Run, name: str) -> None:
    """Also one inside another class."""

    async def main() -> None:
        async with stage() as played:
            actor = await played.start(Python, {"class": f"{MODULE}:{name}"})
            assert type(actor.actor).__name__ == name.rpartition(".")[2]

    run(main())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"class": "nowhere.at_all:Actor"}, "nowhere.at_all cannot be imported"),
        ({"class": f"{MODULE}:Missing"}, "is no AsyncioActor"),
        ({"class": f"{MODULE}:Stranger"}, "is no AsyncioActor"),
        ({"class": f"{MODULE}:Greeter"}, "does not take these args.*greeting"),
        ({"class": f"{MODULE}:Greeter", "args": {"greeting": "hi", "volume": 11}}, "volume"),
        ({"class": f"{MODULE}:Greeter", "args": {"greeting": "hi", "outlet": 1}}, "given outlet by the router"),
    ],
)
def test_a_class_that_cannot_be_used_says_why(run: Run, options: dict[str, Any], says: str) -> None:
    """Naming the module path that the topology has."""

    async def main() -> None:
        async with stage() as played:
            with pytest.raises(ActorClassError, match=says):
                await played.start(Python, options)

    run(main())


def test_an_error_of_its_own_is_not_disguised(run: Run) -> None:
    """The traceback leads to the user's line."""

    async def main() -> None:
        async with stage() as played:
            with pytest.raises(ZeroDivisionError, match="its own"):
                await played.start(Python, {"class": f"{MODULE}:Broken"})

    run(main())


@pytest.mark.parametrize("path", ["", "module", "module:", ":Class", "a-b:C", "a:b-c", "a..b:C", "os.system:x y", 5])
def test_what_names_no_class_is_a_problem_of_the_topology(path: object) -> None:
    """Found without importing anything."""
    with pytest.raises(ValidationError):
        PythonOptions.model_validate({"class": path})


class TestSuccession:
    def test_a_class_that_can_take_over_is_handed_over(self, run: Run) -> None:
        """Where it stays the same, and is known since it runs."""
        options = [PythonOptions.model_validate({"class": f"{MODULE}:Holder", "args": {"size": n}}) for n in (1, 2)]
        spec: EndpointSpec = getattr(Python, ENDPOINT)

        async def main() -> None:
            async with stage() as played:
                assert spec.succession(*options) == "break"
                before = await played.start(Python, options[0].model_dump(by_alias=True))
                assert spec.succession(*options) == "handed_over"
                after = await played.succeed(Python, options[1].model_dump(by_alias=True), before)
                await before.retire()
                assert [vars(played.actor)["held"] for played in (before, after)] == [False, True]

        run(main())

    @pytest.mark.parametrize(("name", "after"), [("Plain", "Plain"), ("Worker", "Worker"), ("Holder", "Plain")])
    def test_every_other_one_ends_first(self, run: Run, name: str, after: str) -> None:
        """Two would take in the same, for all that the router knows."""
        spec: EndpointSpec = getattr(Python, ENDPOINT)
        options = [PythonOptions.model_validate({"class": f"{MODULE}:{each}"}) for each in (name, after)]

        async def main() -> None:
            async with stage() as played:
                await played.start(Python, options[0].model_dump(by_alias=True))
                assert spec.succession(*options) == "break"

        run(main())
