"""A step says what it is where it is written."""

from actors.core.message import Message
from actors.core.spec import Options
from actors.core.step import FILTERED, STEP, Parts, Passage, StepContext, StepResult, StepSpec, step


@step("drop", options=Options, repeatable=True)
class Drop:
    """Drops each message."""

    def __init__(self, options: Options, context: StepContext) -> None: ...

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        return FILTERED


def test_a_step_type_carries_its_registration() -> None:
    spec: StepSpec = getattr(Drop, STEP)
    assert (spec.name, spec.options, spec.build, spec.repeatable) == ("drop", Options, Drop, True)
    assert spec.documentation == "Drops each message."


def test_parts_are_a_tuple_and_no_single_message() -> None:
    """A message is a tuple too, so that a route looks at the exact type."""
    parts = Parts((Message("1", "s", 1), Message("2", "s", 2)))
    assert len(parts) == 2
    assert type(parts) is Parts
    assert not isinstance(parts, Message)
