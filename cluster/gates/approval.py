"""A live approval, as Slack told it just now: who said yes still says so, to what would be done now."""

from __future__ import annotations

from cluster.gates._common import CLOCK_SLACK_S, FRESH_S, listed, told
from cluster.telling import short_span
from cluster.world import ApprovalSeen, Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    if world.approval is None:
        return Unknown(f"nobody has been asked to approve {node}")
    seen = told(world.approval, "the approval", now, FRESH_S)
    evidence = {"holders": list(seen.holders), "needed": seen.needed, "expires_at": seen.expires_at}
    why = _why_not(seen, now)
    return Blocked(why, evidence, _hint(seen, node)) if why else Passed(evidence)


def _hint(seen: ApprovalSeen, node: str) -> str:
    again = f"settle it with them; then `/upgrade retry` or `/upgrade skip {node}`"
    return again if seen.rejecters else "it is asked for again, in the thread"


def _why_not(seen: ApprovalSeen, now: float) -> str:
    if seen.rejecters:
        return f"rejected by {listed(seen.rejecters)}"
    if seen.bound != seen.present:
        return f"not what was approved any more: {seen.changed or 'what would be done has changed'}"
    if seen.given_at > now + CLOCK_SLACK_S:
        return "the clock was put back since the approval was given, so its age is unknown"
    if now >= seen.expires_at:
        return f"the approval expired {short_span(now - seen.expires_at)} ago"
    if len(seen.holders) < seen.needed:
        return f"{len(seen.holders)} of {seen.needed} approvals stand; one that was given may have been taken back"
    return ""


GATE = Gate(
    name="approval",
    doc="Do enough approvers still say yes, unexpired, to exactly what would be done now?",
    phases=frozenset({GatePhase.MAINTENANCE, GatePhase.UPGRADE, GatePhase.REBOOT}),
    reads=frozenset(),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
