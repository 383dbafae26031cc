"""What kills the bot: at chosen acts, at chosen messages, at random moments; each only once, and each is counted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from sandbox.house import BotProcess
from sandbox.lines import Act, Moment
from sandbox.slack import BOT
from sandbox.slack.state import Change

RECEIVED, DONE = Moment.RECEIVED, Moment.DONE

AIMED = (
    Act("pve3", "maintenance", RECEIVED),
    Act("103", "migrate", DONE),
    Act("pve3", "upgrade", DONE),
    Act("pve3", "reboot", RECEIVED),
    Act("pve2", "maintenance", DONE),
    Act("102", "migrate", RECEIVED),
    Act("pve2", "upgrade", RECEIVED),
    Act("pve2", "reboot", DONE),
    Act("pve1", "maintenance", RECEIVED),
    Act("101", "migrate", DONE),
    Act("pve1", "upgrade", DONE),
    Act("pve1", "reboot", DONE),
)
"""The acts that matter: on receipt, and after the effect but before the answer. The first time each comes."""

POSTS = (2, 9, 17, 30)
"""The post of the bot with this number, or the next one: it stands in the channel, and the bot never hears so."""

RANDOM = 4
SHORTEST_S, LONGEST_S = 5.0, 15.0
"""Between two random kills."""


@dataclass
class Killer:
    bot: BotProcess
    seed: int
    struck: list[str] = field(default_factory=list)
    _left: list[Act] = field(default_factory=lambda: list(AIMED))
    _posts: int = 0
    _due: list[int] = field(default_factory=lambda: list(POSTS))
    _over: threading.Event = field(default_factory=threading.Event)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def on_act(self, act: Act) -> None:
        """In the faces' thread, which goes on only when this returns."""
        if act in self._left and self._strike(f"at acts: {act.verb} {act.about}, {act.moment}"):
            self._left.remove(act)

    def on_change(self, change: Change) -> None:
        """In Slack's loop, before it answers the bot's call."""
        if change.kind == "posted" and change.message.user == BOT and change.message.metadata:
            self._posts += 1
            if self._due and self._posts >= self._due[0] and self._strike(f"at posts: {self._posts}"):
                self._due.pop(0)

    def at_random(self) -> None:
        """A thread of its own."""
        rng = random.Random(self.seed)
        left = RANDOM
        while left and not self._over.wait(rng.uniform(SHORTEST_S, LONGEST_S)):
            left -= self._strike("at random")

    def end(self) -> None:
        self._over.set()

    def summary(self) -> str:
        kinds = Counter(how.split()[1].rstrip(":") for how in self.struck)
        return f"{len(self.struck)} kills: " + ", ".join(f"{count} at {kind}" for kind, count in sorted(kinds.items()))

    def _strike(self, how: str) -> bool:
        """False if it was dead already: that is no kill."""
        with self._one_at_a_time:
            if not self.bot.alive:
                return False
            self.bot.kill()
            self.struck.append(how)
            return True
