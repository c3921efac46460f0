"""An endpoint and a step say what they are where they are written."""

import pytest
from pydantic import ValidationError

from actors.core.actor import AsyncioActor
from actors.core.message import Message
from actors.core.spec import (
    ENDPOINT,
    FILTERED,
    STEP,
    Context,
    EndpointSpec,
    Options,
    Parts,
    Passage,
    StepContext,
    StepResult,
    StepSpec,
    endpoint,
    step,
)


class PostOptions(Options):
    url: str
    """Where to."""
    answers: bool = False


@endpoint(
    "post",
    options=PostOptions,
    target=True,
    replies=lambda options: options.answers,
    claims=lambda options: frozenset({f"url {options.url}"}),
)
class Post(AsyncioActor):
    """Posts each message.

    More about it.
    """

    def __init__(self, options: PostOptions, context: Context) -> None:
        super().__init__()


@step("drop", options=Options, repeatable=True)
class Drop:
    """Drops each message."""

    def __init__(self, options: Options, context: StepContext) -> None: ...

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        return FILTERED


def test_an_endpoint_type_carries_its_registration() -> None:
    spec: EndpointSpec = getattr(Post, ENDPOINT)
    assert (spec.name, spec.options, spec.start) == ("post", PostOptions, Post)
    assert spec.documentation.startswith("Posts each message.")
    options = PostOptions(url="http://here", answers=True)
    assert not spec.source(options)
    assert spec.target(options)
    assert spec.replies(options)
    assert not spec.replies(PostOptions(url="x"))
    assert spec.claims(options) == {"url http://here"}


def test_an_endpoint_without_claims_can_be_there_twice() -> None:
    @endpoint("bare", options=Options)
    class Bare(AsyncioActor):
        pass

    spec: EndpointSpec = getattr(Bare, ENDPOINT)
    assert spec.claims(Options()) == frozenset()
    assert spec.documentation == ""


def test_a_step_type_carries_its_registration() -> None:
    spec: StepSpec = getattr(Drop, STEP)
    assert (spec.name, spec.options, spec.build, spec.repeatable) == ("drop", Options, Drop, True)
    assert spec.documentation == "Drops each message."


def test_options_are_frozen_refuse_what_they_do_not_know_and_describe_themselves() -> None:
    options = PostOptions(url="x")
    with pytest.raises(ValidationError):
        options.url = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        PostOptions.model_validate({"url": "x", "ulr": "y"})
    assert PostOptions.model_json_schema()["properties"]["url"]["description"] == "Where to."


def test_parts_are_a_tuple_and_no_single_message() -> None:
    """A message is a tuple too, so that a route looks at the exact type."""
    parts = Parts((Message("1", "s", 1), Message("2", "s", 2)))
    assert len(parts) == 2
    assert type(parts) is Parts
    assert not isinstance(parts, Message)
