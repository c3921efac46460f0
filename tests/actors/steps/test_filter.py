"""`filter`: what passes, what is filtered, and what fails."""

import pytest

from actors.core.errors import ExpressionError
from actors.core.step import FILTERED
from actors.steps.filter import Filter
from tests.actors.steps.stepping import Way, build, message, spec_of


def test_a_message_for_which_the_expression_holds_passes_unchanged() -> None:
    step = build(Filter, "data.kind == 'alarm'")
    alarm = message({"kind": "alarm"})

    assert step(alarm, Way()) is alarm


def test_a_message_for_which_it_does_not_hold_is_filtered() -> None:
    step = build(Filter, "data.kind == 'alarm'")

    assert step(message({"kind": "heartbeat"}), Way()) is FILTERED


@pytest.mark.parametrize("nothing", [0, "", None, [], {}])
def test_any_value_counts_by_its_truth(nothing: object) -> None:
    """As in Jinja2: empty and zero are false."""
    step = build(Filter, "data.value")

    assert step(message({"value": nothing}), Way()) is FILTERED
    assert step(message({"value": "something"}), Way()) is not FILTERED


def test_a_field_that_is_not_there_is_a_failure_and_not_filtered() -> None:
    """Unlike in a route's `when`: a filter that names a misspelt field shall not eat everything."""
    step = build(Filter, "data.kindd == 'alarm'")

    with pytest.raises(ExpressionError):
        step(message({"kind": "alarm"}), Way())


def test_headers_and_attributes_are_in_scope() -> None:
    step = build(Filter, "headers['x-request-id'] == 'r-1' and tenant == 'cota'")

    assert step(message({}, tenant="cota"), Way()) is not FILTERED
    assert step(message({}, tenant="funza"), Way()) is FILTERED


def test_it_may_run_again_for_a_message_that_comes_back() -> None:
    assert spec_of(Filter).repeatable
