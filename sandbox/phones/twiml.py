"""TwiML, read as strictly as Twilio reads it: an unknown verb, attribute or value is an error, and the call ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

MOST_CHARACTERS = 4000
"""Of a document that comes with the order for a call."""


class BadTwiml(Exception):
    """The sentence says where."""


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Gather:
    """One key ends it. `timeout`: seconds of silence after the last word."""

    action: str
    method: str
    timeout: float
    inside: tuple[Say | Pause, ...]


Verb = Say | Pause | Redirect | Hangup | Gather

ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "Say": frozenset({"voice", "language", "loop"}),
    "Pause": frozenset({"length"}),
    "Redirect": frozenset({"method"}),
    "Hangup": frozenset(),
    "Gather": frozenset({"input", "action", "method", "timeout", "numDigits", "finishOnKey", "actionOnEmptyResult"}),
}


def parse(document: str) -> list[Verb]:
    """Raises BadTwiml."""
    try:
        root = fromstring(document)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise BadTwiml(f"this is not XML: {error}") from None
    if root.tag != "Response" or root.attrib:
        raise BadTwiml("the root must be <Response>")
    return [_verb(element) for element in _children(root)]


def _verb(element: Element) -> Verb:
    if element.tag not in ATTRIBUTES:
        raise BadTwiml(f"no such verb: <{element.tag}>")
    if unknown := sorted(set(element.attrib) - ATTRIBUTES[element.tag]):
        raise BadTwiml(f"<{element.tag}> has no attribute {', '.join(unknown)}")
    match element.tag:
        case "Say" | "Pause":
            return _spoken(element)
        case "Redirect":
            return Redirect(_text(element), _method(element))
        case "Hangup":
            return Hangup()
    return _gather(element)


def _spoken(element: Element) -> Say | Pause:
    if element.tag == "Pause":
        return Pause(_number(element, "length", 1))
    return Say(_text(element))


def _gather(element: Element) -> Gather:
    if element.get("input", "dtmf") != "dtmf":
        raise BadTwiml("<Gather> takes keys only, here")
    inside = []
    for child in _children(element):
        if child.tag not in ("Say", "Pause"):
            raise BadTwiml(f"<{child.tag}> cannot stand in a <Gather>")
        inside.append(_spoken(child))
    if element.get("numDigits") != "1":
        raise BadTwiml("<Gather> takes one key, here: without numDigits=1 it waits for more")
    return Gather(element.get("action", ""), _method(element), _number(element, "timeout", 5), tuple(inside))


def _children(element: Element) -> Iterator[Element]:
    """Loose text between verbs is an error."""
    loose = [element.text, *(child.tail for child in element)]
    if any((text or "").strip() for text in loose):
        raise BadTwiml(f"text stands loose in <{element.tag}>")
    yield from element


def _text(element: Element) -> str:
    if len(element) or not (element.text or "").strip():
        raise BadTwiml(f"<{element.tag}> must hold text, and only text")
    return " ".join(str(element.text).split())


def _method(element: Element) -> str:
    method = element.get("method", "POST")
    if method not in ("GET", "POST"):
        raise BadTwiml(f"method {method!r} is neither GET nor POST")
    return method


def _number(element: Element, name: str, default: int) -> float:
    value = element.get(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise BadTwiml(f"{name}={value!r} is not a whole number above 0")
    return float(value)
