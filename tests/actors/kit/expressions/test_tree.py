"""Bodies: templates in mappings and lists."""

import copy

import pytest
from pydantic import BaseModel, ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import TemplateTree

NOW_S = 0.0
MESSAGE = Message("id-1", "door", {"to": "+593", "text": "hi", "list": [1, 2]})
SOURCE = {
    "to": "{{ data.to }}",
    "type": "text",
    "text": {"body": "Said: {{ data.text }}", "preview": False},
    "list": ["{{ data.list }}", 1, None, 0.5],
}


class Options(BaseModel):
    body: TemplateTree | None = None


def test_a_tree_keeps_its_structure_and_renders_its_leaves() -> None:
    assert TemplateTree(SOURCE).render(MESSAGE, NOW_S) == {
        "to": "+593",
        "type": "text",
        "text": {"body": "Said: hi", "preview": False},
        "list": [[1, 2], 1, None, 0.5],
    }


@pytest.mark.parametrize("source", ["{{ data.to }}", "plain", 5, True, None, [], {}])
def test_a_leaf_is_a_tree_too(source: object) -> None:
    value = TemplateTree(source).render(MESSAGE, NOW_S)
    assert value == ("+593" if source == "{{ data.to }}" else source)


def test_what_is_rendered_is_new_each_time() -> None:
    tree = TemplateTree({"a": [1]})
    first = tree.render(MESSAGE, NOW_S)
    first["a"].append(2)
    assert tree.render(MESSAGE, NOW_S) == {"a": [1]}


def test_a_leaf_that_fails_fails_the_tree() -> None:
    with pytest.raises(ExpressionError) as caught:
        TemplateTree({"a": ["{{ data.missing }}"]}).render(MESSAGE, NOW_S)
    assert caught.value.source == "{{ data.missing }}"


def test_a_tree_without_templates_is_constant() -> None:
    assert TemplateTree({"a": ["b", 1, None]}).is_constant
    assert not TemplateTree(SOURCE).is_constant


def test_trees_are_values() -> None:
    one, other = TemplateTree(SOURCE), TemplateTree(dict(reversed(SOURCE.items())))
    assert one == other
    assert hash(one) == hash(other)
    assert one != TemplateTree({**SOURCE, "type": "image"})
    assert copy.deepcopy(one) is one


def test_a_tree_is_an_option() -> None:
    options = Options.model_validate({"body": SOURCE})
    assert options.body is not None
    assert options.model_dump() == {"body": SOURCE}
    assert "body" in Options.model_json_schema()["properties"]


def test_every_mistake_is_a_problem_with_its_place_in_the_tree() -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(
            {"body": {"a": {"b": ["fine", "{{ daat.x }}"]}, "{{ c }}": 1, "d": "{{ data.x", "e": object()}}
        )
    problems = {error["loc"]: error for error in caught.value.errors()}
    assert len(problems) == 4
    assert problems["body", "a", "b", 1]["ctx"]["offset"] == 3
    assert problems["body", "d"]["msg"].startswith("unexpected end")
    assert "keys are plain text" in problems["body",]["msg"]
    assert "expected text" in problems["body", "e"]["msg"]


def test_a_tree_without_end_is_refused() -> None:
    source: object = "x"
    for _ in range(40):
        source = [source]
    with pytest.raises(ValidationError, match="nested too deeply"):
        TemplateTree(source)
