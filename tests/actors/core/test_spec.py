"""An endpoint says what it is where it is written."""

import pytest
from pydantic import ValidationError

from actors.core.actor import AsyncioActor
from actors.core.spec import ENDPOINT, Context, EndpointSpec, Options, endpoint


class PostOptions(Options):
    url: str
    """Where to."""
    answers: bool = False


@endpoint(
    "post",
    options=PostOptions,
    target=True,
    replies=lambda options: options.answers,
    keeps=True,
    redelivers=lambda options: options.answers,
    claims=lambda options: frozenset({f"url {options.url}"}),
)
class Post(AsyncioActor):
    """Posts each message.

    More about it.
    """

    def __init__(self, options: PostOptions, context: Context) -> None:
        super().__init__()


def test_an_endpoint_type_carries_its_registration() -> None:
    spec: EndpointSpec = getattr(Post, ENDPOINT)
    assert (spec.name, spec.options, spec.start) == ("post", PostOptions, Post)
    assert spec.documentation.startswith("Posts each message.")
    options = PostOptions(url="http://here", answers=True)
    assert not spec.source(options)
    assert spec.target(options)
    assert spec.replies(options)
    assert not spec.replies(PostOptions(url="x"))
    assert spec.keeps(options)
    assert [spec.redelivers(each) for each in (options, PostOptions(url="x"))] == [True, False]
    assert spec.claims(options) == {"url http://here"}


def test_an_endpoint_without_claims_can_be_there_twice() -> None:
    @endpoint("bare", options=Options)
    class Bare(AsyncioActor):
        pass

    spec: EndpointSpec = getattr(Bare, ENDPOINT)
    assert spec.claims(Options()) == frozenset()
    assert not spec.keeps(Options())
    assert not spec.redelivers(Options())
    assert spec.documentation == ""


def test_options_are_frozen_refuse_what_they_do_not_know_and_describe_themselves() -> None:
    options = PostOptions(url="x")
    with pytest.raises(ValidationError):
        options.url = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        PostOptions.model_validate({"url": "x", "ulr": "y"})
    assert PostOptions.model_json_schema()["properties"]["url"]["description"] == "Where to."
