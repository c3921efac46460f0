"""Validates a part of the tree with an option model; what is wrong becomes problems at their places."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from router.topology.faults import Fault, locate, retype
from router.topology.fields import keys_at, secret_scalars
from router.topology.phrases import is_ours, may_tell, naming, phrase
from router.topology.report import Report
from router.topology.source import Span
from router.topology.tree import MapNode, Node, ScalarNode, plain, scalars, within

M = TypeVar("M", bound=BaseModel)

_PASSWORD: Final = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
_NAME_ALONE: Final = re.compile(r"\$\{(?:file:[^}]*|\w+)\}")
_SECRETS: Final = "write ${NAME} or ${file:path} instead"
_SCALARS: Final = frozenset(("bool_type", "float_type", "int_type", "string_type"))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a part of the tree is, for messages."""

    key: Span
    """Its name: where it is said that something is missing."""
    owner: str
    """What it is called: "actor type 'mqtt'", "'settings'"."""
    word: str = "key"
    """What its keys are called: "key" or "option"."""
    others: Collection[str] = ()
    """Keys that are allowed besides the model's own, for suggestions."""


class Validation:
    """Validates the parts of one file."""

    def __init__(self, report: Report, context: Mapping[str, Any]) -> None:
        self._report = report
        self._context = dict(context)

    def model(self, model: type[M], node: Node, subject: Subject, *, by_name: bool | None = None) -> M | None:
        """An instance of `model`, or None where there are problems, which are in the report then.

        Types are strict, as in JSON: "5" in quotes is no number, and `yes` is not true. What `${…}` stands for
        may be either, with quotes or without: whichever is wanted.
        """
        if isinstance(node, ScalarNode):
            if node.broken:
                return None
            if node.value is None and not issubclass(model, RootModel):
                node = MapNode(node.start, node.end)  # nothing behind the key: all defaults
        tried: dict[ScalarNode, Any] = {}
        while True:
            try:
                instance, errors = self._strictly(model, json.dumps(plain(node)), by_name)
            except Exception as error:  # a validator of somebody's option model raised what it should not
                self._report.error(subject.key, f"{subject.owner} cannot check its options: {type(error).__name__}")
                return None
            faults = locate(errors, node, subject.key)
            if not retype(faults, tried):
                self._keep_secrets(model, node)
                self._tell(faults, model, subject)
                return instance

    def _strictly(self, model: type[M], text: str, by_name: bool | None) -> tuple[M | None, list[ErrorDetails]]:
        """An instance, or what is wrong.

        Behind a validator that sees the value first, pydantic's strict mode takes no list for a tuple and no text
        for a path. So what lax mode takes is wrong only where a scalar is of the wrong type.
        """
        try:
            return model.model_validate_json(text, strict=True, context=self._context, by_name=by_name), []
        except ValidationError as error:
            strict = error.errors(include_url=False, include_input=False)
        instance, lax = None, []
        try:
            instance = model.model_validate_json(text, context=self._context, by_name=by_name)
        except ValidationError as error:
            lax = error.errors(include_url=False, include_input=False)
        wrong = [error for error in strict if error["type"] in _SCALARS]
        known = {error["loc"] for error in wrong}
        errors = wrong + [error for error in lax if error["loc"] not in known]
        return (None, errors) if errors else (instance, [])

    def _tell(self, faults: list[Fault], model: type[BaseModel], subject: Subject) -> None:
        meant: set[tuple[Span, str | None]] = set()
        for fault in faults:
            if fault.type == "extra_forbidden":
                meant.add((fault.key, self._unknown_key(fault, model, subject)))
            elif fault.type != "missing" and not (isinstance(fault.node, ScalarNode) and fault.node.broken):
                self._wrong_value(fault, subject)
        for fault in faults:
            # A misspelt key is one mistake, and not a missing key besides.
            if fault.type == "missing" and (fault.key, fault.name) not in meant:
                self._report.error(fault.key, f"missing {self._key_of(fault, subject)}")

    def _unknown_key(self, fault: Fault, model: type[BaseModel], subject: Subject) -> str | None:
        """Report it; returns the key that was probably meant."""
        candidates = set(keys_at(model, fault.path))
        if not fault.path:
            candidates.update(subject.others)
        meant = self._report.closest(fault.name, candidates)
        suggestion = f"did you mean '{meant}'?" if meant is not None else ""
        span = fault.node.entries[fault.name].key if isinstance(fault.node, MapNode) else fault.key
        self._report.error(span, f"unknown {self._key_of(fault, subject)}", suggestion)
        return meant

    def _wrong_value(self, fault: Fault, subject: Subject) -> None:
        message, suggestion = phrase(fault, subject.owner)
        for scalar in scalars(fault.node):
            is_secret = self._report.source.is_masked(scalar.span)
            if (is_secret or scalar.written is not None) and may_tell(message + suggestion, fault, scalar):
                shown = "***" if is_secret else scalar.written
                wanted = f"no valid {fault.type}" if is_ours(fault.type) else "not valid here"
                message, suggestion = f"{naming(fault.path, subject.owner)}: what '{shown}' stands for is {wanted}", ""
        self._report.error(self._place(fault), message, suggestion)

    def _place(self, fault: Fault) -> Span:
        node = fault.node
        if fault.at_key or not isinstance(node, ScalarNode) or node.end <= node.start:
            return fault.key
        offset = fault.context.get("offset")
        if isinstance(offset, int):
            length = fault.context.get("length")
            return within(self._report.source, node, offset, length if isinstance(length, int) else 1)
        return node.span

    def _key_of(self, fault: Fault, subject: Subject) -> str:
        if not fault.path:
            return f"{subject.word} '{fault.name}' {'for' if subject.word == 'option' else 'in'} {subject.owner}"
        return f"key '{fault.name}' in {naming(fault.path, subject.owner)}"

    def _keep_secrets(self, model: type[BaseModel], node: Node) -> None:
        for scalar in scalars(node):
            if isinstance(scalar.value, str) and "://" in scalar.value:
                password = _PASSWORD.search(scalar.value if scalar.written is None else scalar.written)
                if password is not None and "${" not in password[0]:
                    self._report.warning(scalar.span, "a password is written into the file", _SECRETS)
        for scalar in secret_scalars(model, node):
            written = str(scalar.value) if scalar.written is None else scalar.written
            # A name in `${…}` may be shown, a default and what stands beside it may not.
            if not _NAME_ALONE.fullmatch(written):
                self._report.source.mask(scalar.span)
            if "${" not in written and isinstance(scalar.value, str) and scalar.value:
                self._report.warning(scalar.span, "a secret is written into the file", _SECRETS)
