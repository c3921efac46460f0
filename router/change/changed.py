"""What a change did, for whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from router.change.conservation import Conservation
from router.change.impact import Impact


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did."""

    revision: int | None
    """None where nothing differed, and nothing was done."""
    impact: Impact
    report: Conservation | None
    remarks: tuple[str, ...] = ()
    """What the operator should know beside it."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "revision": self.revision,
            "plan": self.impact.as_dict(),
            "report": self.report.as_dict() if self.report is not None else None,
            "remarks": list(self.remarks),
        }
