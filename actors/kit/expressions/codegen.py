"""The Python code that Jinja2 writes for a tree, with guards around what can grow, run for long or be missing."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame


class GuardedCodeGenerator(CodeGenerator):
    """Sends loops, joined texts, built lists and looked up keys through the environment and the context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By identity, since nodes are equal where they look alike; each entry keeps its node alive.
        self._guards: dict[int, tuple[nodes.Node, str]] = {}
        self._loops = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        guarded = self._guards.pop(id(node), None)
        if guarded is None:
            return super().visit(node, *args, **kwargs)
        self.write(guarded[1])
        super().visit(node, *args, **kwargs)
        self.write(")")
        return None

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        # What fails must fail when it runs, so nothing is worked out beforehand.
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        self._guard(node.iter, "context.steps.counted(")
        self._loops += 1
        super().visit_For(node, frame)
        self._loops -= 1

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        if self._loops and node.node is not None:
            self._guard(node.node, "context.steps.charged(")
        super().visit_Filter(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated(")
        self._sequence("(", node.nodes, ",)", frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Const | nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.entry")
        self._sequence("(", [node.node, node.arg], ")", frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        if any(operand.op in ("in", "notin") for operand in node.ops):
            # An empty container would not look at what is missing.
            self._guard(node.expr, "environment.present(")
        super().visit_Compare(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._parts(node.items)
        self._sequence("[", node.items, "]", frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._parts(node.items)
        super().visit_Tuple(node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._parts([pair.value for pair in node.items])
        super().visit_Dict(node, frame)

    def _parts(self, parts: list[nodes.Expr]) -> None:
        for part in parts:
            if not isinstance(part, nodes.Const):
                self._guard(part, "environment.present(")

    def _guard(self, node: nodes.Node, guard: str) -> None:
        self._guards[id(node)] = (node, guard)

    def _sequence(self, opening: str, parts: list[nodes.Expr], closing: str, frame: Frame) -> None:
        self.write(opening)
        for number, part in enumerate(parts):
            if number:
                self.write(", ")
            self.visit(part, frame)
        self.write(closing)
