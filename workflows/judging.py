"""One look at the world and all gates of one moment: machines first, then people, then the verdicts, kept in the audit
log with their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.facts import Machines, Read, Reading, Topic
from cluster.gates import guest_groups, judge, topics
from cluster.world import WATCHING, ApprovalSeen, Blocked, GatePhase, Opinion, OwnChanges, Passed, World
from store.api import AuditRow
from workflows import orders
from workflows.approvals import bound_now, seen_now
from workflows.messages import host
from workflows.readiness import on_call_now
from workflows.site import Site

if TYPE_CHECKING:
    from workflows.wheel import Approval

BINDING = frozenset({Topic.NODES, Topic.PACKAGES, Topic.GUESTS, Topic.MOVES})
"""What must be read to say whether the world still is what was approved."""


URGENT = (guest_groups.GATE.name, "cluster-quorum", "split-brain")
"""Gates whose being shut, while a node is down for us, is an outage and not a wait: they page at once."""
PEOPLE_ASKED = frozenset({GatePhase.PREFLIGHT, GatePhase.ASK})
"""Before a run and before each node it is asked who would be woken; later that changes nothing any more."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All opinions of one moment. `remedy`: "" wait, "ask" the approval must be given anew, "hold" a person decides."""

    opinions: tuple[Opinion, ...]
    remedy: str = ""
    over: str = ""
    """The paths that were taken where the first one was not, "" if it was."""

    @property
    def open(self) -> bool:
        return all(opinion.open for opinion in self.opinions)

    @property
    def reasons(self) -> list[str]:
        """Why it is not open, ready for Slack: what the machines said is made harmless here, where it enters."""
        return [_told(opinion) for opinion in self.opinions if not opinion.open]

    @property
    def in_the_way(self) -> list[str]:
        """The reasons; of an approval that must be given anew, the reason alone."""
        if not self.remedy:
            return self.reasons
        return [host(_reason(opinion)) for opinion in self.opinions if not opinion.open]

    @property
    def urgent(self) -> list[str]:
        """Those of the reasons that cannot wait: seen, for a machine that is silent once must wake nobody."""
        shut = (o for o in self.opinions if not o.open and isinstance(o.verdict, Blocked))
        return [_told(opinion) for opinion in shut if opinion.gate in URGENT]

    @property
    def notes(self) -> list[str]:
        """What a person should know although it passed."""
        return [host(o.verdict.note) for o in self.opinions if isinstance(o.verdict, Passed) and o.verdict.note]

    @property
    def waived(self) -> list[str]:
        return [f"{o.gate} overridden by {o.overridden_by}" for o in self.opinions if o.overridden_by]

    @property
    def summary(self) -> str:
        """How many passed, and which are open only because somebody said so."""
        passed = sum(isinstance(opinion.verdict, Passed) for opinion in self.opinions)
        over = [f"over {self.over}"] if self.over else []
        return "; ".join([f"{passed} gates passed", *over, *self.waived])


def _told(opinion: Opinion) -> str:
    return f"{opinion.gate}: {host(_reason(opinion))}{_hinted(opinion)}"


def _hinted(opinion: Opinion) -> str:
    hint = "" if isinstance(opinion.verdict, Passed) else opinion.verdict.hint
    return f" ({host(hint)})" if hint else ""


def _reason(opinion: Opinion) -> str:
    return "" if isinstance(opinion.verdict, Passed) else opinion.verdict.reason


def judge_now(
    site: Site,
    run_id: str,
    node: str,
    moment: GatePhase,
    own: OwnChanges,
    approval: Approval | None,
    starter: str,
) -> Judgement:
    """Collect the world and judge it. Raises only StoreError."""
    waived = orders.overrides(site.store.orders(run_id), node)
    wanted = topics(moment) | (BINDING if approval else frozenset())
    machines = site.cluster.survey(wanted, node)
    seen = _approval(site, run_id, node, machines, own, approval, starter, waived)
    on_call = on_call_now(site) if moment in PEOPLE_ASKED else None
    world = World(site.managed, machines, own, seen, site.helper_checksum, on_call)
    opinions = judge(world, node, moment, site.clock(), waived)
    over = ", ".join(sorted(set(site.cluster.detours().values())))
    judgement = Judgement(tuple(opinions), _remedy(opinions, seen), over)
    if moment not in WATCHING:
        _keep(site, run_id, node, moment, judgement)
    return judgement


def _approval(
    site: Site,
    run_id: str,
    node: str,
    machines: Machines,
    own: OwnChanges,
    approval: Approval | None,
    starter: str,
    waived: Mapping[str, str],
) -> Reading[ApprovalSeen] | None:
    if approval is None:
        return None
    present = bound_now(
        machines,
        node,
        approval.bound,
        installed=own.packages_installed,
        stopped=own.stopped,
        overrides=waived,
        policy=site.managed.cannot_move,
    )
    return seen_now(site, run_id, approval.key, starter, approval.bound, present, approval.expires_at)


def _remedy(opinions: Sequence[Opinion], seen: Reading[ApprovalSeen] | None) -> str:
    """Asking again helps when only the approval is in the way; a rejection or a foreign boot holds first."""
    shut = [opinion for opinion in opinions if not opinion.open]
    if not isinstance(seen, Read) or not shut or any(o.gate != "approval" for o in shut):
        return ""
    if not isinstance(shut[0].verdict, Blocked):
        return ""
    if seen.value.rejecters or "rebooted since" in seen.value.changed:
        return "hold"
    return "ask"


def _keep(site: Site, run_id: str, node: str, moment: GatePhase, judgement: Judgement) -> None:
    detail = {opinion.gate: _shown(opinion) for opinion in judgement.opinions}
    row = AuditRow(site.clock(), run_id, site.managed.name, "roundsman", f"gates {moment} {node}", detail)
    site.store.audit(row)


def _shown(opinion: Opinion) -> Mapping[str, Any]:
    verdict = opinion.verdict
    kept: dict[str, Any]
    if isinstance(verdict, Passed):
        kept = {"verdict": "passed", "evidence": verdict.evidence, "note": verdict.note}
    else:
        word = "blocked" if isinstance(verdict, Blocked) else "unknown"
        kept = {"verdict": word, "reason": verdict.reason, "evidence": verdict.evidence, "hint": verdict.hint}
    return {**kept, "overridden_by": opinion.overridden_by} if opinion.overridden_by else kept
