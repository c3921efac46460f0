"""`python`: what a user's function may return, and what becomes of its failures."""

import asyncio
from collections.abc import Awaitable

import pytest
from pydantic import ValidationError

from actors.core.errors import ActorError, DeliveryError
from actors.core.message import Message
from actors.core.step import FILTERED, Parts, StepResult, Verdict
from actors.steps.python import Python, PythonOptions
from tests.actors.steps.stepping import Way, build, message, spec_of
from tests.loop import Run

SHOP = "tests.actors.steps.shop"


def call(options: object, original: Message) -> StepResult:
    result = build(Python, options)(original, Way())
    assert not isinstance(result, Awaitable)
    return result


async def call_coroutine(options: object, original: Message) -> StepResult:
    result = build(Python, options)(original, Way())
    assert isinstance(result, Awaitable)
    return await result


def test_the_message_goes_on_as_what_the_function_returned() -> None:
    assert call(f"{SHOP}:price", message({"count": 3})) == message({"count": 3, "price": 3})


def test_arguments_are_given_by_name_and_rendered() -> None:
    options = {"call": f"{SHOP}:route", "args": {"region": "EC", "to": "{{ data.to }}", "limits": {"n": 1}}}

    result = call(options, message({"to": "+593991234567"}))

    assert isinstance(result, Message)
    assert result.data == {"region": "EC", "to": "+593991234567", "limits": {"n": 1}}


def test_a_function_can_be_an_attribute_of_a_class() -> None:
    assert call(f"{SHOP}:Pricing.double", message(4)) == message(8)


def test_none_means_filtered() -> None:
    assert call(f"{SHOP}:returned", message(None)) is FILTERED


def test_a_verdict_ends_the_message() -> None:
    assert call(f"{SHOP}:out_of_stock", message()) == Verdict("dropped", "no stock")


def test_a_list_of_messages_is_parts_with_ids_of_their_own() -> None:
    """Parts that bore one id would look like repeats of each other to every target."""
    result = call(f"{SHOP}:lines", message(["a", "b"], id="m-7"))

    assert isinstance(result, Parts)
    assert [(part.id, part.data) for part in result] == [("m-7-1", "a"), ("m-7-2", "b")]


def test_a_part_with_an_id_of_its_own_keeps_it() -> None:
    result = call(f"{SHOP}:returned", message([message("a", id="x")]))

    assert isinstance(result, Parts)
    assert [part.id for part in result] == ["x"]


@pytest.mark.parametrize("returned", [5, "text", {"a": 1}, [1], True])
def test_anything_else_is_a_mistake_in_the_function(returned: object) -> None:
    with pytest.raises(TypeError, match=r"shop:returned returned .*; expected a Message"):
        call(f"{SHOP}:returned", message(returned))


def test_a_coroutine_function_is_awaited(run: Run) -> None:
    assert run(call_coroutine(f"{SHOP}:slowly", message())) == message("slow")


def test_a_coroutine_function_that_takes_too_long_fails_the_message(run: Run) -> None:
    options = {"call": f"{SHOP}:never", "timeout": "1ms"}

    with pytest.raises(DeliveryError, match=r"never was not done in 1ms") as caught:
        run(call_coroutine(options, message()))
    assert caught.value.reason == "timeout_before_send"


def test_a_timeout_of_the_functions_own_is_its_crash(run: Run) -> None:
    with pytest.raises(TimeoutError):
        run(call_coroutine(f"{SHOP}:times_out_by_itself", message()))


def test_cancelling_the_step_cancels_the_function(run: Run) -> None:
    async def scenario() -> None:
        task = asyncio.ensure_future(call_coroutine(f"{SHOP}:never", message()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario())


def test_exceptions_of_the_function_are_let_through() -> None:
    """A DeliveryError fails the message, and any other is a crash of the route: that is the route's to say."""
    with pytest.raises(DeliveryError, match="no stock"):
        call(f"{SHOP}:refuse", message())
    with pytest.raises(ZeroDivisionError):
        call(f"{SHOP}:crash", message())


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("tests.actors.steps.absent:f", "ModuleNotFoundError: No module named 'tests.actors.steps.absent'"),
        (f"{SHOP}:absent", "AttributeError: module 'tests.actors.steps.shop' has no attribute 'absent'"),
        (f"{SHOP}:NUMBER", "is no function but int"),
    ],
)
def test_a_function_that_is_not_there_is_said_when_the_route_is_built(reference: str, said: str) -> None:
    with pytest.raises(ActorError) as caught:
        build(Python, reference)
    assert said in str(caught.value)
    assert caught.value.actor == "orders"


@pytest.mark.parametrize("reference", ["", "shop", "shop.price", "shop:", ":price", "shop:price()", "a b:c", 5])
def test_a_reference_of_another_form_is_a_problem_of_the_file(reference: object) -> None:
    """Nothing is imported to find that out: a file is validated without running what it names."""
    with pytest.raises(ValidationError):
        PythonOptions.model_validate(reference)


def test_it_is_not_run_again_for_a_message_that_has_it_behind_itself() -> None:
    """Nobody knows what the function does besides."""
    assert not spec_of(Python).repeatable
