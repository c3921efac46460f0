"""Expressions and templates: the small language in which a topology speaks about messages.

`Expression` is the type of options such as `when`, `Template` of options that may hold `{{ … }}`, and `TemplateTree` of
bodies: mappings and lists of templates. All are values: immutable, equal where their source is, valid as fields of
pydantic models, and parsed when they are made. What they mean is Jinja2; what is plain runs as a Python function.
"""

from __future__ import annotations

from actors.kit.expressions.expression import Expression
from actors.kit.expressions.mistake import MistakeError
from actors.kit.expressions.template import Template
from actors.kit.expressions.tree import TemplateTree

__all__ = ["Expression", "MistakeError", "Template", "TemplateTree"]
