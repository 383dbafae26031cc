"""How much of a three-node run's wall time is waiting that nobody can avoid, on a real GlusterFS (needs root).

The physical waits are taken from the hardware's side alone: apt's unit files on the nodes' disks, the Proxmox
stand-in's tasks and HA manager, the nodes' own systemctl and the power supervisor, and the bricks' own index
directories; not from the bot's stamps. Beside it stands a tool with a fixed pause of five minutes after each node, as
the nearest peer has (oVirt's cluster upgrade). What the rest is made of is counted: commands over SSH, API requests.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.proxmox import Proxmox
from cluster.series import Going
from cluster.ssh import SshNode, spoken
from sandbox.model import Event, What
from tests.lab.guests import PretendGuests
from tests.lab.hardware import Lab, Node, missing
from tests.lab.lab_bot import PACE, LabBot
from tests.lab.stand_in import ProxmoxStandIn

LOOK_S = 0.05
FIXED_PAUSE_S = 300.0
MOVES = ("qmigrate",)
MODES = ((What.MAINTENANCE_ON, What.MAINTENANCE_REACHED), (What.MAINTENANCE_OFF, What.MAINTENANCE_LEFT))
GAP = "heal: a further round, after the gap"


@dataclass
class Watch:
    """One node, watched from outside. Times by the wall clock; 0.0 = not yet."""

    node: Node
    upgrading: float = 0.0
    upgraded: float = 0.0
    ordered: float = 0.0
    dark: float = 0.0
    up: float = 0.0
    healing: list[float] = field(default_factory=list)

    def look(self, now: float, pending: int) -> None:
        log = self.node.disk / "overlay/var/upper/lib/roundsman"
        if not self.upgrading and any(log.glob("*.log")):
            self.upgrading = now
        if not self.upgraded and any(log.glob("*.exit")):
            self.upgraded = now
        if not self.ordered and (self.node.disk / "root" / "going-down").exists():
            self.ordered = now
        if self.ordered and not self.dark and not self.node.pid:
            self.dark = now
        if self.dark and not self.up and self.node.pid and self.node.answers():
            self.up = now
        if pending and self.upgrading:
            self.healing.append(now)

    def heal(self, since: float, until: float) -> float:
        """From the moment the node was there again until the last index entry was gone."""
        seen = [at for at in self.healing if since <= at < until]
        return max(seen) - since if seen else 0.0


class Hardware:
    """Looks at all nodes 20 times a second."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.watches = {name: Watch(node) for name, node in lab.nodes.items()}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_S):
            now, pending = time.time(), self.lab.to_heal()
            for watch in self.watches.values():
                watch.look(now, pending)


class Counted:
    """How often the bot asks for something, and the seconds until it was answered (many at the same time)."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, kind: type, verb: str, named: Callable[..., str]) -> None:
        """From now on every call of this method is counted under the name that `named` gives it."""
        plain = getattr(kind, verb)

        def counted(*args: Any, **more: Any) -> Any:
            began = time.monotonic()
            try:
                return plain(*args, **more)
            finally:
                name = named(*args)
                self.times[name] += 1
                self.seconds[name] += time.monotonic() - began

        setattr(kind, verb, counted)

    def lines(self) -> list[str]:
        return [
            f"  {name:40} {times:6} times, {self.seconds[name] / times:6.2f} s each"
            for name, times in self.times.most_common()
        ]


def helper_verb(node: SshNode, argv: list[str], *_: Any) -> str:
    words = spoken(argv).split()
    return "ssh: " + " ".join(words[: 2 if words[0] == "gluster" else 1])


def main() -> int:
    if why := missing():
        print(f"bench/lab: left out: {why}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return bench(Path(folder))


def bench(folder: Path) -> int:
    lab = Lab(Path("/srv/roundsman-bench"))
    lab.down()
    lab.proxmox = ProxmoxStandIn(lab, folder / "stand-in")
    try:
        lab.proxmox.start()
        lab.up()
        lab.proxmox.follow()
        guests, hardware, counted = PretendGuests(lab), Hardware(lab), Counted()
        counted.count(SshNode, "run", helper_verb)
        counted.count(Going, "add", lambda going, *_: GAP if going.added > 1 else "heal: a survey's first round")
        counted.count(Proxmox, "ask", lambda *_: "Proxmox VE API")
        guests.start()
        hardware.start()
        bot = LabBot(lab.proxmox, folder)
        began = time.monotonic()
        bot.run()
        wall = time.monotonic() - began
        hardware.stop()
        guests.stop()
        tell(bot, hardware, counted, wall)
        print("\n".join(counted.lines()))
        return 0
    finally:
        lab.proxmox.stop()
        lab.down()


def tell(bot: LabBot, hardware: Hardware, counted: Counted, wall: float) -> None:
    watches = list(hardware.watches.values())
    ends = [*(watch.upgrading for watch in watches[1:]), time.time()]
    moves = [t for t in hardware.lab.proxmox.model.tasks.all.values() if t.kind in MOVES and t.ended]
    events = hardware.lab.proxmox.model.events
    modes = [span for asked, reached in MODES for span in spans(events, asked, reached)]
    judged = sum(row.what.startswith("gates ") for row in bot.store.audits(limit=10_000))
    gap = bot.managed.gluster.gap
    gaps = counted.times[GAP]
    parts = {
        "dist-upgrade": sum(w.upgraded - w.upgrading for w in watches),
        "heal after the upgrade": sum(w.heal(w.upgraded, w.dark) for w in watches),
        f"maintenance mode, {len(modes)} times, as the HA manager takes it up": sum(modes),
        "drain and return": sum((t.ended or 0.0) - t.started for t in moves),
        "reboot, from systemctl until ssh answers": sum(w.up - w.ordered for w in watches),
        "brick back and heal": sum(w.heal(w.up, end) for w, end in zip(watches, ends, strict=True)),
        f"stability window ({gaps} gaps of {gap:g} s in {judged} judgements)": gaps * gap,
    }
    physical = sum(parts.values())
    print("bench/lab: a three-node run on a real GlusterFS, two guests writing 40 fsynced blocks a second each")
    pace = f"elapsed/{PACE.divisor:g} within {PACE.least:g}..{PACE.most:g} s"
    print(f"  (pace {pace}; stability reads {bot.managed.gluster.gap:g} s apart)")
    for what, seconds in parts.items():
        print(f"  {what:58} {seconds:7.1f} s")
    print(f"  {'all physical waits':58} {physical:7.1f} s")
    print(f"  {'the rest: judging, polling':58} {wall - physical:7.1f} s")
    print(f"  {'wall time':58} {wall:7.1f} s = {wall / physical:.2f} x the physical waits (target 1.10)")
    fixed = physical + FIXED_PAUSE_S * len(watches)
    print(f"  {'a tool with a fixed pause of 5 min after each node':58} {fixed:7.1f} s = {fixed / physical:.2f} x")


def spans(events: Sequence[Event], begin: What, end: What) -> Iterator[float]:
    """Seconds from each of the first kind to the next of the second on the same node."""
    for number, event in enumerate(events):
        if event.what is begin:
            yield next(e.at for e in events[number:] if e.what is end and e.node == event.node) - event.at


if __name__ == "__main__":
    sys.exit(main())
