"""Block Kit's limits, as Slack enforces them on a message: one bad block loses the whole message.

`faults(blocks)` gives Slack's own sentences, each with the place it points at; an empty list means that Slack takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Block = Mapping[str, Any]
Check = Callable[[Block, str], Iterator[str]]

MOST_BLOCKS = 50
MOST_MARKDOWN = 12_000  # characters, of all markdown blocks together
UNCHECKED = frozenset({"rich_text", "table", "data_table", "data_visualization", "plan", "task_card", "file", "video"})
"""Known to Slack; their insides are not judged here."""


def faults(blocks: Sequence[Any]) -> list[str]:
    """What Slack would say of these blocks, worst place first: "<what> [json-pointer:<where>]"."""
    if len(blocks) > MOST_BLOCKS:
        return [_at("no more than 50 items allowed", "/blocks")]
    found = [fault for index, block in enumerate(blocks) for fault in _block(block, f"/blocks/{index}")]
    found += _repeated_ids(blocks)
    markdown = [b for b in blocks if isinstance(b, Mapping) and b.get("type") == "markdown"]
    if sum(len(str(block.get("text", ""))) for block in markdown) > MOST_MARKDOWN:
        found.append(_at("markdown text must be less than 12001 characters in total", "/blocks"))
    return found


def _at(what: str, where: str) -> str:
    return f"{what} [json-pointer:{where}]"


def _block(block: Any, where: str) -> Iterator[str]:
    if not isinstance(block, Mapping):
        yield _at("must be an object", where)
        return
    kind = block.get("type")
    if not kind:
        yield _at("missing required field: type", where)
    elif kind in CHECKS:
        yield from CHECKS[kind](block, where)
    elif kind not in UNCHECKED:
        yield _at(f"unsupported type: {kind}", f"{where}/type")
    yield from _length(block.get("block_id", ""), 255, f"{where}/block_id", least=0)


def _repeated_ids(blocks: Sequence[Any]) -> list[str]:
    ids = [block["block_id"] for block in blocks if isinstance(block, Mapping) and block.get("block_id")]
    return [_at(f"`block_id` {name} already exists", "/blocks") for name in dict.fromkeys(ids) if ids.count(name) > 1]


def _length(text: Any, most: int, where: str, least: int = 1) -> Iterator[str]:
    if not isinstance(text, str):
        yield _at("must be a string", where)
    elif len(text) > most:
        yield _at(f"must be less than {most + 1} characters", where)
    elif len(text) < least:
        yield _at(f"must be more than {least - 1} characters", where)


def _text(value: Any, most: int, where: str, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> Iterator[str]:
    """A text object."""
    if not isinstance(value, Mapping):
        yield _at("must be an object", where)
    elif value.get("type") not in kinds:
        yield _at(f"unsupported type: {value.get('type')}", f"{where}/type")
    else:
        yield from _length(value.get("text"), most, f"{where}/text")


def _items(block: Block, name: str, most: int, where: str) -> Iterator[str]:
    items = block.get(name)
    if not isinstance(items, Sequence) or isinstance(items, str) or not items:
        yield _at(f"missing required field: {name}", where)
    elif len(items) > most:
        yield _at(f"no more than {most} items allowed", f"{where}/{name}")


def _section(block: Block, where: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield _at("must define either `text` or `fields`", where)
    if "text" in block:
        yield from _text(block["text"], 3000, f"{where}/text")
    if "fields" in block:
        yield from _items(block, "fields", 10, where)
        for index, value in enumerate(block["fields"] or ()):
            yield from _text(value, 2000, f"{where}/fields/{index}")
    if "accessory" in block:
        yield from _element(block["accessory"], f"{where}/accessory")


def _header(block: Block, where: str) -> Iterator[str]:
    yield from _text(block.get("text"), 150, f"{where}/text", ("plain_text",))


def _context(block: Block, where: str) -> Iterator[str]:
    yield from _items(block, "elements", 10, where)
    for index, element in enumerate(block.get("elements") or ()):
        place = f"{where}/elements/{index}"
        if isinstance(element, Mapping) and element.get("type") == "image":
            yield from _image(element, place)
        else:
            yield from _text(element, 3000, place)


def _actions(block: Block, where: str) -> Iterator[str]:
    yield from _items(block, "elements", 25, where)
    for index, element in enumerate(block.get("elements") or ()):
        yield from _element(element, f"{where}/elements/{index}")


def _element(element: Any, where: str) -> Iterator[str]:
    """Something to press. Only buttons are judged closely."""
    if not isinstance(element, Mapping) or "type" not in element:
        yield _at("missing required field: type", where)
    elif element["type"] == "button":
        yield from _text(element.get("text"), 75, f"{where}/text", ("plain_text",))
        yield from _length(element.get("value", ""), 2000, f"{where}/value", least=0)
        yield from _length(element.get("url", ""), 3000, f"{where}/url", least=0)
        if element.get("style", "primary") not in ("primary", "danger"):
            yield _at("must be one of: primary, danger", f"{where}/style")


def _image(block: Block, where: str) -> Iterator[str]:
    if "image_url" not in block and "slack_file" not in block:
        yield _at("must define either `image_url` or `slack_file`", where)
    yield from _length(block.get("image_url", ""), 3000, f"{where}/image_url", least=0)
    yield from _length(block.get("alt_text"), 2000, f"{where}/alt_text")


def _markdown(block: Block, where: str) -> Iterator[str]:
    yield from _length(block.get("text"), MOST_MARKDOWN, f"{where}/text")


def _divider(block: Block, where: str) -> Iterator[str]:
    yield from ()


CHECKS: Mapping[str, Check] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "markdown": _markdown,
    "divider": _divider,
}
