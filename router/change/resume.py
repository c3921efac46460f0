"""Which text `start FILE` runs: the revision that was confirmed last, or the file. A pure decision.

A change that was made to the running router survives a restart, until somebody edits the file or says with
`--file-wins` that the file counts. A file also counts when it is another one than the start before was given
and than was applied last: whoever runs `start a.yaml` after `start b.yaml` in one folder means a.yaml.

Where the revision's text has problems today (a variable that is not set any more, an option that went), nothing
is started. To fall back to the file would undo, without anybody asking for it, what an operator has changed:
messages would go where they were led away from. The refusal names the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from router.store.applied_files import AppliedFile, content_digest
from router.store.revisions import RevisionLine

R = TypeVar("R", bound=RevisionLine)

Reason = Literal["file_wins", "first", "new_file", "edited", "other_file", "unchanged"]


@dataclass(frozen=True, slots=True)
class Choice(Generic[R]):
    """What a start runs, and why."""

    revision: R | None
    """The one to resume, or None for the file."""
    reason: Reason
    sentence: str
    """For the operator. Empty at the first start, where nobody could expect anything else."""


def choose(path: Path, text: str, last: R | None, applied: AppliedFile | None, *, file_wins: bool = False) -> Choice[R]:
    """What `start path` runs, where the file holds `text`.

    `last` is the last confirmed revision, and `applied` is what is remembered of that file.
    """
    if last is None:
        return Choice(None, "first", "")
    left = f"{_told(last)} is left"
    if file_wins:
        return Choice(None, "file_wins", f"{path} is taken, as --file-wins says; {left}")
    if applied is None:
        return Choice(None, "new_file", f"{path} is taken: it was never applied here; {left}")
    if applied.digest != content_digest(text):
        since = f"it has changed since it was applied as revision {applied.revision}"
        return Choice(None, "edited", f"{path} is taken: {since}; {left}")
    if not (applied.started or applied.latest):
        return Choice(None, "other_file", f"{path} is taken: the start before was given another file; {left}")
    if last.number == applied.revision:
        return Choice(last, "unchanged", f"{_told(last)} goes on: {path} has not changed since")
    since = f"{path} has not changed since it was applied as revision {applied.revision}"
    return Choice(last, "unchanged", f"{_told(last)} goes on: {since}. --file-wins takes the file")


def refusal(revision: RevisionLine, path: Path, problems: int) -> str:
    """What to say where the text of the revision to resume has problems today; they are shown beside it."""
    count = "a problem" if problems == 1 else f"{problems} problems"
    return (
        f"{_told(revision)} cannot be resumed: its text has {count} today. "
        f"Mend what it names, or start with --file-wins to run {path}"
    )


def expanded_anew(revision: RevisionLine, fingerprint: str) -> str | None:
    """What to say where a revision's text is expanded again, and stands for something else; None where it does not."""
    if revision.fingerprint == fingerprint:
        return None
    return f"what ${{…}} stands for has changed since revision {revision.number}: its text is filled in anew"


def _told(revision: RevisionLine) -> str:
    return f"revision {revision.number} ({revision.action} by {revision.who})"
