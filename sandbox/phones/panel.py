"""What the demo's page shows of telephones and pushes, and what people do there: answer, press a key, let it ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.phones.company import Call, Company
from sandbox.phones.pushes import Push, PushApi

LINGERS_S = 20.0
"""What is over stays on the page for so long."""


class Panel:
    def __init__(self, company: Company, pushes: PushApi, clock: Callable[[], float]) -> None:
        self._company, self._pushes, self._clock = company, pushes, clock

    def card(self) -> dict[str, Any]:
        """All that rings or has just ended, newest first."""
        now = self._clock()
        calls = [call for call in self._company.calls if call.ended is None or now - call.ended < LINGERS_S]
        pushes = [push for push in self._pushes.pushes if now - (push.quiet(now) or now) < LINGERS_S]
        return {
            "calls": [self._call(call) for call in reversed(calls)],
            "pushes": [self._push(push, now) for push in reversed(pushes)],
        }

    async def act(self, what: str, which: str) -> bool:
        """False if there is no such thing to do any more."""
        call, now = self._company.call(which), self._clock()
        match what:
            case "acknowledge":
                self._pushes.acknowledge(which)
                return True
            case "answer" if call and call.status == "ringing":
                await self._company.answer(call, now)
                return True
            case "press" if call and call.listens:
                await self._company.press(call, "1", now)
                return True
            case "leave" if call and call.status == "ringing":
                call.left = True
                return True
        return False

    async def pick_up(self, call: Call, key: str) -> None:
        """As somebody does who was woken by it."""
        await self.act("answer", call.sid)
        await self._company.press(call, key, self._clock())

    def _call(self, call: Call) -> dict[str, Any]:
        somebody = self._company.whose(call.to)
        state = {"status": call.status, "said": call.said, "listens": call.listens is not None, "left": call.left}
        return {"id": call.sid, "person": somebody.name if somebody else call.to, "number": call.to, **state}

    def _push(self, push: Push, now: float) -> dict[str, Any]:
        state = "acknowledged" if push.acknowledged else "quiet" if push.quiet(now) else "ringing"
        words = {"title": push.title, "text": push.text, "state": state, "rings": push.rings(now)}
        return {"id": push.receipt, "person": push.person, **words}
