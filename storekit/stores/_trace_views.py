"""A trace as a text, as a file of trace events, and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from storekit.stores.trace_records import TraceRecord

__all__ = ["chrome", "svg", "table"]

_COLOURS = {
    "get": "#4878d0",
    "get_partial_values": "#82aae8",
    "get_versioned": "#2c4f96",
    "exists": "#8fd0c8",
    "getsize": "#4fa79c",
    "set": "#ee854a",
    "set_values": "#f5b183",
    "set_partial_values": "#c4622a",
    "compare_and_set": "#e0b000",
    "erase": "#8c613c",
    "erase_values": "#b48a66",
    "erase_prefix": "#5f3f24",
    "list": "#956cb4",
    "list_prefix": "#b99bd0",
    "list_dir": "#6d4690",
}
_WIDTH, _LEFT, _RIGHT, _LANE = 1000, 60, 20, 20  # in pixels


def _begin(records: Sequence[TraceRecord]) -> float:
    return min((record.start for record in records), default=0.0)


def _what(record: TraceRecord) -> str:
    """The keys or the prefix in short, printable: one, and how many there are beside it."""
    if record.prefix is not None:
        return record.prefix if record.prefix.isprintable() else repr(record.prefix)
    names = dict.fromkeys(record.keys)
    first = next(iter(names), "")
    text = first if first.isprintable() else repr(first)
    return f"{text} and {len(names) - 1} more" if len(names) > 1 else text


def _ranges(record: TraceRecord) -> str:
    if not record.ranges:
        return ""
    start, length = record.ranges[0]
    text = f"{start}:" if length is None else f"{start}:+{length}"
    more = len(record.ranges) - 1
    return f"{text} and {more} more" if more else text


# --- text -----------------------------------------------------------------------------------------

_HEAD = ("start", "seconds", "slot", "op", "key or prefix", "bytes", "up", "down", "outcome")


def table(records: Sequence[TraceRecord]) -> str:
    """A line for each record, by the time when they began, from the first on."""
    begin = _begin(records)
    rows = [_HEAD]
    for record in sorted(records, key=lambda record: record.start):
        times = f"{record.start - begin:.6f}", f"{record.seconds:.6f}"
        what = record.op, _what(record), _ranges(record)
        sizes = str(record.up), str(record.down)
        rows.append((*times, str(record.slot), *what, *sizes, record.outcome))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = {_HEAD.index(name) for name in ("op", "key or prefix", "bytes", "outcome")}
    lines = (
        "  ".join(
            cell.ljust(width) if i in texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


# --- trace events ---------------------------------------------------------------------------------


def chrome(records: Sequence[TraceRecord]) -> str:
    """The JSON of the trace event format, times in microseconds."""
    begin = _begin(records)
    events: list[dict[str, object]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": slot, "args": {"name": f"slot {slot}"}}
        for slot in sorted({record.slot for record in records})
    ]
    events += [
        {
            "ph": "X",
            "name": record.op,
            "cat": "store",
            "pid": 1,
            "tid": record.slot,
            "ts": (record.start - begin) * 1e6,
            "dur": record.seconds * 1e6,
            "args": {
                "keys": record.keys,
                "prefix": record.prefix,
                "ranges": record.ranges,
                "up": record.up,
                "down": record.down,
                "outcome": record.outcome,
                "thread": record.thread,
            },
        }
        for record in records
    ]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})


# --- picture --------------------------------------------------------------------------------------


def svg(records: Sequence[TraceRecord]) -> str:
    """The text of an SVG: a lane for each slot, a colour for each operation, an axis in seconds."""
    begin = _begin(records)
    span = max((record.end - begin for record in records), default=0.0) or 1.0
    lanes = max((record.slot for record in records), default=0) + 1
    legend, top = _legend(records)
    bottom = top + lanes * _LANE
    height = bottom + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        *legend,
        *_lanes(lanes, top),
        *_axis(span, top, bottom),
    ]
    scale = (_WIDTH - _LEFT - _RIGHT) / span
    for record in sorted(records, key=lambda record: record.start):
        left, width = _LEFT + (record.start - begin) * scale, record.seconds * scale
        parts += _bar(record, left, width, top + record.slot * _LANE)
    return "\n".join([*parts, "</svg>\n"])


def _legend(records: Sequence[TraceRecord]) -> tuple[list[str], int]:
    """What the colours mean, and where the lanes can begin below it."""
    found = {record.op for record in records}
    entries = [(op, f'fill="{colour}"') for op, colour in _COLOURS.items() if op in found]
    if any(record.outcome != "ok" for record in records):
        entries.append(("failed", 'fill="white" stroke="#c00000" stroke-width="2"'))
    parts, left, top = [], _LEFT, 10
    for name, style in entries:
        width = 34 + 6 * len(name)
        if left + width > _WIDTH - _RIGHT:
            left, top = _LEFT, top + 18
        parts.append(f'<rect x="{left}" y="{top}" width="12" height="12" {style}/>')
        parts.append(f'<text x="{left + 17}" y="{top + 10}">{name}</text>')
        left += width
    return parts, top + 24


def _lanes(lanes: int, first: int) -> Iterator[str]:
    for slot in range(lanes):
        top = first + slot * _LANE
        if slot % 2 == 0:
            width = _WIDTH - _LEFT - _RIGHT
            yield f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_LANE}" fill="#f4f4f4"/>'
        yield f'<text x="{_LEFT - 6}" y="{top + 14}" text-anchor="end">slot {slot}</text>'


def _axis(span: float, top: int, bottom: int) -> Iterator[str]:
    """Lines at round numbers of seconds, at most ten of them."""
    power = 10.0 ** math.floor(math.log10(span / 10))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= 10)
    scale = (_WIDTH - _LEFT - _RIGHT) / span
    for number in range(math.floor(span / step * (1 + 1e-9)) + 1):
        x = f"{_LEFT + number * step * scale:.2f}"
        yield f'<path d="M{x} {top}V{bottom + 4}" stroke="#bbbbbb" stroke-width="0.5"/>'
        yield f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{number * step:.6g}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{bottom + 35}" text-anchor="middle">seconds</text>'


def _bar(record: TraceRecord, left: float, width: float, top: int) -> Iterator[str]:
    width = max(width, 1.0)  # what took no time is seen, too
    failed = record.outcome != "ok"
    edge = 'stroke="#c00000" stroke-width="2"' if failed else 'stroke="white" stroke-width="0.5"'
    colour = _COLOURS[record.op]
    about = [f"{record.op} {_what(record)}", _ranges(record), f"{record.seconds:.6g} s"]
    about += [f"{record.up} B up, {record.down} B down", record.outcome]
    title = escape("\n".join(filter(None, about)))
    yield (
        f'<rect x="{left:.2f}" y="{top + 2}" width="{width:.2f}" height="{_LANE - 4}" '
        f'fill="{colour}" {edge}><title>{title}</title></rect>'
    )
    label = _what(record)
    if 6.5 * len(label) + 8 < width:
        red, green, blue = bytes.fromhex(colour[1:])
        ink = "white" if 2 * red + 5 * green + blue < 1100 else "black"  # as bright as it looks
        yield f'<text x="{left + 4:.2f}" y="{top + 14}" fill="{ink}">{escape(label)}</text>'
