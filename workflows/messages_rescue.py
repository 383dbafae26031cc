"""What every run about a guest says: restores, drills, backups, the acts of the runbook. The rules: messages.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.facts import Guest
from cluster.gates.locks import ASLEEP
from cluster.telling import condition
from engine.port import Saying
from workflows.messages import at, bullets, host, named, note, paged, span, who_may_answer, with_hint
from workflows.roles import mention
from workflows.settings import ManagedCluster


def board(cluster: str, what: str, starter: str) -> Saying:
    return Saying("board", f"🛟 {what} on *{cluster}*, asked for by <@{starter}>.")


def refused(reason: str, hint: str = "") -> Saying:
    return note(with_hint(f"⛔ I will not do that: {reason}. Nothing was changed.", hint))


def shown(text: str) -> Saying:
    """What was read and worded in one look."""
    return note(text)


def request(
    managed: ManagedCluster,
    subject: str,
    question: str,
    until: float,
    why_again: str,
    *,
    act: str,
    too_late: str,
    terms: Mapping[str, str],
) -> Saying:
    people = managed.people
    first, _, rest = question.partition("\n")
    again = f" Asked again: {why_again}." if why_again else ""
    text = f"🙋 *{first}*{again}\n{rest}\n{who_may_answer(people, until, 'it begins')}"
    detail = {"subject": subject, "act": act, "too_late": too_late, "until": until, "terms": dict(terms)}
    return Saying("approval", text, mention=people.approvers, detail=detail)


def granted(what: str, by: Sequence[str], until: float) -> Saying:
    return note(f"👍 {_first_up(what)}: approved by {mention(by)}; counts until {at(until)}, for exactly this.")


def hold(managed: ManagedCluster, name: str, meant: str, why: str, hint: str, urgent: bool) -> Saying:
    """`meant`: how people name it when they steer."""
    then = f"`/restore retry {meant}`, or `/restore abort {meant}`"
    hints = f"{hint}; then {then}" if hint else then
    text = with_hint(f"✋ {host(name)}: I hold: {why}. Nothing more happens until an operator says so.", hints)
    return paged(managed, text) if urgent else note(text)


def aborted(name: str, left: Sequence[str]) -> Saying:
    rest = f"Left as it is:\n{bullets(left, 50)}" if left else "Nothing is left changed."
    return note(f"🛑 {host(name)}: aborted. {rest}")


def left_as(guest: Guest) -> str:
    under = f", HA has it as {host(guest.ha)}" if guest.ha else ""
    busy = f", locked ({host(guest.lock)}): something of it is under way, or broke off" if guest.lock else ""
    return f"{named(guest.name, guest.id)} is {host(condition(guest.status))} on {guest.node}{under}{busy}"


def left_unread(name: str, why: str) -> str:
    return f"{host(name)}: what is left could not be read ({host(why)})"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- what the world says of a guest ----------------------------------------------------------------------------------


def on_a_dead_node(guest: Guest, alive: str, power: bool, by_ha: bool) -> tuple[str, str]:
    """Why it is left alone, and a hint. `alive`: a node that could have it; `power`: the settings name a command that
    cycles the power of the dead one; `by_ha`: HA brings it up elsewhere."""
    node = guest.node
    folder = f"/etc/pve/nodes/{{}}/{'lxc' if guest.kind == 'lxc' else 'qemu-server'}"
    cycle = f"`/restore power-cycle {node}`" if power else f"switch {node} off and on"
    off_for_good = (
        f"if {node} is switched off and stays so, and only then: `mv {folder.format(node)}/{guest.id}.conf "
        f"{folder.format(alive)}/` on {alive}, and `/restore start {guest.id} {alive}`, or `/restore {guest.id}`"
    )
    elsewhere = f"HA starts it on another node by itself, minutes after {node} was fenced"
    return (
        f"{named(guest.name, guest.id)} belongs to {node}, which answers nobody, and which the cluster has as offline: "
        f"were it brought up elsewhere, {node} could come back with it and run it twice",
        f"{elsewhere}; or {cycle}" if by_ha else f"{cycle}; or, {off_for_good}",
    )


def locked(guest: Guest) -> tuple[str, str]:
    """Why it is left alone, as half a sentence, and a hint."""
    if guest.lock == ASLEEP:
        return (
            "it is hibernated, with what it had in memory on its disk",
            f"`qm resume {guest.id}` lets it go on where it stood; after `qm unlock {guest.id}` that is lost",
        )
    return f"it is locked ({host(guest.lock)})", f"`/restore unlock {guest.id}` if nothing holds it"


def ignored_by_ha(guest: Guest, what: str) -> tuple[str, str]:
    """Why it cannot `what` ("be stopped"), as half a sentence, and a hint."""
    return (
        f"HA has it as error, and ignores that it is to {what}",
        f"`ha-manager set {guest.sid} --state disabled` on a node: then HA stops what is left, and listens again",
    )


def ask_stop(name: str, guest: int, status: str) -> str:
    what = f"it is {host(condition(status))}: its process is ended at once, its disks stay"
    return f"May I stop {named(name, guest)}?\n• {what}"


def ask_move(name: str, guest: int, source: str, target: str) -> str:
    return (
        f"May I move {named(name, guest)} from {source} to {target}?\n"
        "• it is stopped and moves as it is; its unused disks stay where they are, if their storage is shared"
    )


def moved(name: str, guest: int, target: str) -> Saying:
    return note(f"🚚 {named(name, guest)} belongs to {target} now.")


def written(took: float) -> str:
    return f"✅ Written in {span(took)}."


def starting(name: str, guest: int, node: str) -> Saying:
    return note(f"▶️ {named(name, guest)} is being started on {node}.")


def given_up_by_ha(guest: int) -> tuple[str, str]:
    """Why it does not start, as half a sentence, and a hint."""
    return (
        "HA has it as error, and ignores every start",
        f"`/restore unfreeze {guest}`: once it runs this goes on by itself",
    )


def beside_its_copy(old: Guest, new: int) -> tuple[str, str]:
    """Why the copy is not started, and a hint."""
    return (
        f"guest {old.id} is {condition(old.status)} on {old.node}, and {new} has its addresses: not both may run",
        f"`{old.tool} shutdown {old.id}`, or leave {new} off",
    )


def serving(name: str, guest: int, how: str, took: float) -> Saying:
    return note(f"💚 {named(name, guest)} serves again: {how}, {span(took)} after its start.")
