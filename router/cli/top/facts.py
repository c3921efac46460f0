"""All that is known of one actor or route, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.text import Text

from router.cli.figures import NOTHING, count, size, span
from router.cli.terminal import cut, printable, width
from router.cli.top.columns import fill_style
from router.cli.top.entry import OUTCOMES, Entry
from router.cli.top.gauge import bar, compact, took
from router.cli.top.sample import Json

TERM: Final = 14
FIGURE: Final = 11
RATE: Final = 9
GAP: Final = 4
LABEL: Final = 19
BAR: Final = 30
LANES: Final = ("in_flight", "retrying", "suspended", "held", "waiting")
"""Of a mailbox, in the order in which their messages will end."""
QUANTILES: Final = ("p50", "p95", "p99")

_COUNTS: Final = ("started", "succeeded", "refused", "unknown", "late", "in_flight", "handled", "failed", "dropped")
_BAD: Final = ("refused", "unknown", "failed", "expired", "dead_lettered", "returned")


def headline(entry: Entry) -> Text:
    """What it is, and how it does."""
    cell = entry.state_cell
    return Text.assemble((printable(entry.name), "bold"), f"  {printable(entry.kind)}  ", (cell.text, cell.style or ""))


def lines(entry: Entry, entries: Sequence[Entry], mailbox: Json | None, room: int) -> Iterator[Text]:
    """Everything below the headline, in `room` columns. `entries` are all there are; `mailbox` is what waits."""
    yield from _ways(entry, entries)
    for note, style in entry.notes:
        yield Text(printable(note), style or "")
    yield Text()
    yield from _ledger(entry) if entry.is_route else _counts(entry)
    yield Text()
    yield from _fill(entry, room)
    yield from _latency(entry)
    yield from _about(entry)
    yield from _waiting(mailbox, room)
    yield from _children(mailbox)


def _ways(entry: Entry, entries: Sequence[Entry]) -> Iterator[Text]:
    if entry.is_route:
        sources, targets = (_names(entry.view.get(side, ())) for side in ("sources", "targets"))
        durable = "  durable" if entry.view.get("durable") else ""
        yield Text.assemble(("from ", "dim"), sources, ("  to ", "dim"), targets, (durable, "dim"))
        return
    for side, told in (("sources", "into routes "), ("targets", "from routes ")):
        if found := [each.name for each in entries if each.is_route and entry.name in each.view.get(side, ())]:
            yield Text.assemble((told, "dim"), _names(found))


def _ledger(entry: Entry) -> Iterator[Text]:
    """Both sides, each term with its rate, their sums, and the difference."""
    ledger = entry.ledger
    left = [_term(entry, name, "ledger") for name in ("accepted", "split_out")]
    right = [_term(entry, name, "ledger", is_rate=name in OUTCOMES) for name, _ in entry.terms]
    blank = Text(" " * (TERM + FIGURE + RATE))
    yield Text("LEDGER", "dim")
    for place, term in enumerate(right):
        yield Text.assemble(left[place] if place < len(left) else blank, " " * GAP, term)
    taken = sum(ledger.get(name) or 0 for name in ("accepted", "split_out"))
    found = sum(number for _, number in entry.terms)
    difference = ledger.get("difference") or 0
    sums = [f"{'sum':<{TERM}}{count(number):>{FIGURE}}{'':{RATE}}" for number in (taken, found)]
    yield Text.assemble((sums[0], "bold"), " " * GAP, (sums[1], "bold"))
    style = "bold red" if difference else "green"
    yield Text.assemble(("difference".ljust(TERM), "bold"), (count(difference).rjust(FIGURE), style))


def _counts(entry: Entry) -> Iterator[Text]:
    shown = [name for name in _COUNTS if name in entry.counts]
    half = (len(shown) + 1) // 2
    yield Text("DELIVERIES AND MAILBOX", "dim")
    for place in range(half):
        pair = [shown[place], *shown[place + half : place + half + 1]]
        terms = [_term(entry, name, "counts", is_rate=name != "in_flight") for name in pair]
        yield Text(" " * GAP).join(terms)


def _term(entry: Entry, name: str, table: str, *, is_rate: bool = True) -> Text:
    number = entry.view.get(table, {}).get(name)
    rate = entry.sample.rate(entry.name, table, name) if is_rate else None
    style = "" if number else "dim"
    if number and name in _BAD:
        style = "red" if name == "dead_lettered" else "yellow"
    return Text.assemble(
        (name.replace("_", " ").ljust(TERM), "" if number else "dim"),
        (count(number).rjust(FIGURE), style),
        (f"{compact(rate)}/s".rjust(RATE) if rate else " " * RATE, "dim"),
    )


def _fill(entry: Entry, room: int) -> Iterator[Text]:
    box, view = entry.box, entry.view
    figures = f"{count(entry.depth)} of {count(entry.capacity)}, at most {count(box.get('high_water'))} so far"
    drawn = bar(entry.depth, entry.capacity, max(4, min(BAR, room - LABEL - len(figures) - 2)))
    style = fill_style(entry.depth, entry.capacity) or ("green" if entry.depth else "dim")
    yield Text.assemble(("mailbox".ljust(LABEL), "dim"), (drawn, style), f"  {figures}")
    facts = [
        ("overflow", str(box.get("overflow"))),
        ("in its lobby", count(box.get("lobby"))),
        ("in hand", count(box.get("in_hand"))),
        ("oldest", span(entry.oldest_age_s)),
    ]
    names = ("retries", "retrying", "suspended", "on_hold", "refused_at_source", "backlog")
    facts += [(name.replace("_", " "), count(view[name])) for name in names if view.get(name) is not None]
    facts.append(("restarts", count(entry.restarts)))
    for place in range(0, len(facts), 2):
        pair = [_fact(*fact) for fact in facts[place : place + 2]]
        pair[0].pad_right(max(0, TERM + FIGURE + RATE + GAP - pair[0].cell_len))
        yield Text.assemble(*pair)


def _latency(entry: Entry) -> Iterator[Text]:
    told = [(quantile, entry.latency_s(quantile)) for quantile in QUANTILES]
    if any(seconds is not None for _, seconds in told):
        yield _fact("latency", "  ".join(f"{quantile} {took(seconds)}" for quantile, seconds in told))


def _about(entry: Entry) -> Iterator[Text]:
    about = entry.view.get("about")
    for name, value in (about if isinstance(about, dict) else {}).items():
        yield _fact(str(name).replace("_", " "), str(value))


def _waiting(mailbox: Json | None, room: int) -> Iterator[Text]:
    """The first messages of its mailbox, those that end first first, and what they failed of."""
    if mailbox is None:
        return
    yield Text()
    if mailbox.get("why"):
        yield Text(printable(str(mailbox["why"])), "yellow")
        return
    counts = mailbox.get("counts") or {}
    told = [f"{count(counts[lane])} {lane.replace('_', ' ')}" for lane in LANES if counts.get(lane)]
    yield Text.assemble(("MESSAGES  ", "dim"), ", ".join(told) or "none")
    for lane in LANES:
        for message in mailbox.get(lane, ()):
            yield _message(lane, message, room)
            if message.get("last_error"):
                yield Text(cut(printable(f"    {message['last_error']}"), room), "yellow")


def _message(lane: str, message: Json, room: int) -> Text:
    state = str(message.get("state") or lane).replace("_", " ")
    due = message.get("retry_in_s")
    state = state if due is None else f"{state} in {span(due)}"
    figures = (f"{span(message.get('age_s')):>7}", f"{_attempt(message):>4}", f"{size(message.get('size')):>6}")
    fixed = f"{cut(state, 18):<18}  {'  '.join(figures)}  "
    text = " ".join(
        printable(str(part)) for part in (message.get("id"), message.get("key"), message.get("preview")) if part
    )
    return Text.assemble((fixed, "dim"), cut(text, max(8, room - len(fixed))))


def _attempt(message: Json) -> str:
    attempt = message.get("attempt") or 1
    return f"{attempt}." if attempt > 1 else ""


def _children(mailbox: Json | None) -> Iterator[Text]:
    found = (mailbox or {}).get("children") or ()
    if not found:
        return
    yield Text()
    yield Text("CHILDREN, those first for whom most waits", "dim")
    widest = max(width(printable(str(child.get("name")))) for child in found)
    for child in found:
        box, counts = child.get("mailbox") or {}, child.get("counts") or {}
        depth, capacity = box.get("depth") or 0, box.get("capacity") or 0
        yield Text(
            f"{printable(str(child.get('name'))):<{widest}}  {child.get('state'):<8}  {bar(depth, capacity, 8)} "
            f"{depth}/{capacity}  {count(counts.get('handled'))} handled, {count(counts.get('dropped'))} dropped"
        )


def _fact(name: str, value: str) -> Text:
    return Text.assemble((name.ljust(LABEL), "dim"), printable(value))


def _names(names: Any) -> str:
    return printable(", ".join(map(str, names))) or NOTHING
