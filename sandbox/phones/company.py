"""The telephone company: who has which number and what they do when it rings, and each call from order to end.

Calls follow TwiML as Twilio does: they speak, wait for a key, post it to the address that the TwiML names, signed, and
go on with what comes back. No clock but the one it is given; it lives in its server's event loop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urljoin

from sandbox.phones.agenda import Agenda
from sandbox.phones.twiml import BadTwiml, Gather, Hangup, Pause, Redirect, Say, Verb, parse

ACCOUNT, TOKEN, CALLER = "AC" + "0" * 31 + "1", "local-twilio-token", "+15005550006"
A_CHARACTER_S = 0.06
"""As fast as a voice speaks."""
DIALLING_S = 1.0
BROKEN = "An application error has occurred. Goodbye."
"""Twilio's own words when the address it was given does not answer with TwiML."""
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Habit:
    """What somebody does when their phone rings. `answers`: after so many seconds, None = never. `presses`: which
    keys, one after another, each `after` so many seconds. `line`: "free", "busy", "dead" (the call fails), "refused"
    (the order for the call is refused)."""

    answers: float | None = None
    presses: str = ""
    after: float = 6.0
    line: str = "free"

    @classmethod
    def voicemail(cls) -> Habit:
        return cls(answers=20.0)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody with a phone and a Pushover key; `name` as everywhere."""

    name: str
    phone: str
    pushover: str
    habit: Habit = Habit()


CAST = tuple(
    Subscriber(name, f"+4915200000{number}", f"u{name.upper():0<29}")
    for number, name in enumerate(("alice", "bob", "carol", "mallory"), 1)
)


@dataclass(slots=True)
class Call:
    """`status`: Twilio's word. `said`: what was spoken so far. `listens`: the <Gather> that waits for a key."""

    sid: str
    to: str
    caller: str
    created: float
    ring: float
    twiml: str = ""
    url: str = ""
    status_url: str = ""
    status: str = "queued"
    said: list[str] = field(default_factory=list)
    keys: str = ""
    ended: float | None = None
    listens: Gather | None = None
    program: deque[Verb | None] = field(default_factory=deque)
    turn: int = 0
    left: bool = False

    @property
    def over(self) -> bool:
        return self.status in OVER


@dataclass(frozen=True, slots=True)
class Paged:
    """Somebody was rung or sent something."""

    at: float
    person: str
    how: str
    text: str


class Line(Protocol):
    """How the company reaches the addresses that it was given; the body of a 2xx answer. Raises OSError."""

    async def request(self, method: str, url: str, form: Mapping[str, str], signature: str) -> str: ...


class Company:
    """`paged` hears of each call that is put through."""

    def __init__(
        self,
        line: Line,
        agenda: Agenda,
        clock: Callable[[], float],
        paged: Callable[[Paged], None],
        subscribers: Iterable[Subscriber] = CAST,
    ) -> None:
        self.subscribers = {subscriber.name: subscriber for subscriber in subscribers}
        self.calls: list[Call] = []
        self.faults: list[str] = []
        """What a bot did that Twilio would complain about, in sentences."""
        self._line, self._agenda, self._clock, self._paged = line, agenda, clock, paged
        self._numbers = itertools.count(1)

    # people -------------------------------------------------------------------------------------------------------

    def will(self, name: str, habit: Habit) -> None:
        """From the next call on."""
        self.subscribers[name] = replace(self.subscribers[name], habit=habit)

    def whose(self, number: str) -> Subscriber | None:
        return next((one for one in self.subscribers.values() if one.phone == number), None)

    def call(self, sid: str) -> Call | None:
        return next((call for call in self.calls if call.sid == sid), None)

    # ordering -----------------------------------------------------------------------------------------------------

    def order(self, form: Mapping[str, str]) -> Call:
        """A new call; dialled at once. The order was judged before (sandbox/phones/twilio.py)."""
        sid = f"CA{next(self._numbers):032x}"
        call = Call(sid, form["To"], form["From"], self._clock(), float(form.get("Timeout", "60")))
        call.twiml, call.url, call.status_url = (form.get(name, "") for name in ("Twiml", "Url", "StatusCallback"))
        self.calls.append(call)
        self._agenda.at(call.created + DIALLING_S, lambda at: self._dial(call, at))
        return call

    async def hang_up(self, call: Call, status: str = "completed") -> None:
        """By order of whoever called: whatever the call does, also while it rings."""
        await self._end(call, status, self._clock())

    async def _dial(self, call: Call, at: float) -> None:
        somebody = self.whose(call.to)
        if call.over:
            return
        habit = somebody.habit if somebody else Habit(line="dead")
        if habit.line in ("busy", "dead"):
            await self._end(call, "busy" if habit.line == "busy" else "failed", at)
            return
        call.status = "ringing"
        self._paged(Paged(at, somebody.name if somebody else call.to, "voice", _first_words(call)))
        rings_until = at + call.ring
        self._agenda.at(rings_until, lambda late: self._nobody(call, late))
        if habit.answers is not None and at + habit.answers < rings_until:
            self._agenda.at(at + habit.answers, lambda late: self._picked_up(call, habit, late))

    async def _nobody(self, call: Call, at: float) -> None:
        if call.status == "ringing":
            await self._end(call, "no-answer", at)

    async def _picked_up(self, call: Call, habit: Habit, at: float) -> None:
        if call.status == "ringing":
            await self.answer(call, at)
            self._press_later(call, habit.presses, habit.after, at)

    def _press_later(self, call: Call, keys: str, after: float, at: float) -> None:
        async def press(late: float) -> None:
            await self.press(call, keys[0], late)
            self._press_later(call, keys[1:], after, late)

        if keys and not call.over:
            self._agenda.at(at + after, press)

    # a call under way ---------------------------------------------------------------------------------------------

    async def answer(self, call: Call, at: float) -> None:
        call.status = "in-progress"
        if call.twiml:
            await self._read_out(call, call.twiml, at)
        else:
            await self._fetch(call, "POST", call.url, {}, at)

    async def press(self, call: Call, key: str, at: float) -> None:
        """Outside of a <Gather> a key does nothing, as in life."""
        gather = call.listens
        if call.over or gather is None:
            return
        call.keys += key
        call.listens = None
        call.turn += 1
        await self._fetch(call, gather.method, gather.action, {"Digits": key}, at)

    async def _fetch(self, call: Call, method: str, url: str, more: Mapping[str, str], at: float) -> None:
        form = self._form(call) | dict(more)
        try:
            document = await self._line.request(method, url, form, signature(TOKEN, method, url, form))
        except OSError as error:
            await self._broken(call, f"{url} did not answer: {error}", at)
            return
        await self._read_out(call, document, at, url)

    async def _read_out(self, call: Call, document: str, at: float, base: str = "") -> None:
        call.turn += 1
        try:
            verbs = parse(document)
        except BadTwiml as bad:
            await self._broken(call, str(bad), at)
            return
        call.program = deque(_absolute(verb, base) for verb in verbs)
        await self._go_on(call, call.turn, at)

    async def _broken(self, call: Call, why: str, at: float) -> None:
        self.faults.append(why)
        call.said.append(BROKEN)
        await self._end(call, "completed", at)

    async def _go_on(self, call: Call, turn: int, at: float) -> None:
        """The next verb; None in a program is the end of a <Gather>."""
        if call.over or turn != call.turn:
            return
        if not call.program:
            await self._end(call, "completed", at)
            return
        verb = call.program.popleft()
        match verb:
            case Say(text):
                call.said.append(text)
                self._later(call, at + len(text) * A_CHARACTER_S)
            case Pause(seconds):
                self._later(call, at + seconds)
            case Gather():
                call.listens = verb
                call.program.extendleft(reversed([*verb.inside, Pause(verb.timeout), None]))
                await self._go_on(call, turn, at)
            case None:
                call.listens = None
                await self._go_on(call, turn, at)
            case Redirect(url, method):
                await self._fetch(call, method, url, {}, at)
            case Hangup():
                await self._end(call, "completed", at)

    def _later(self, call: Call, when: float) -> None:
        turn = call.turn
        self._agenda.at(when, lambda at: self._go_on(call, turn, at))

    async def _end(self, call: Call, status: str, at: float) -> None:
        call.status, call.ended, call.listens = status, at, None
        call.turn += 1
        if call.status_url:
            form = self._form(call)
            try:
                await self._line.request("POST", call.status_url, form, signature(TOKEN, "POST", call.status_url, form))
            except OSError as error:
                self.faults.append(f"{call.status_url} did not answer: {error}")

    def _form(self, call: Call) -> dict[str, str]:
        who = {"CallSid": call.sid, "AccountSid": ACCOUNT, "From": call.caller, "To": call.to}
        return {**who, "CallStatus": call.status, "Direction": "outbound-api", "ApiVersion": "2010-04-01"}


def signature(token: str, method: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature: over the address, and of a POST each field's name and value, by name."""
    fields = "".join(name + form[name] for name in sorted(form)) if method == "POST" else ""
    return base64.b64encode(hmac.digest(token.encode(), (url + fields).encode(), hashlib.sha1)).decode()


def _first_words(call: Call) -> str:
    """What will be said first, where that came with the order."""
    verbs = parse(call.twiml) if call.twiml else []
    inside = [part for verb in verbs for part in (verb.inside if isinstance(verb, Gather) else (verb,))]
    return next((part.text for part in inside if isinstance(part, Say)), "")


def _absolute(verb: Verb, base: str) -> Verb:
    match verb:
        case Gather():
            return replace(verb, action=urljoin(base, verb.action))
        case Redirect():
            return replace(verb, url=urljoin(base, verb.url))
    return verb
