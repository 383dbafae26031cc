"""What a person writes about guests: which stand in for each other, how to tell that one serves, and what becomes of
those that cannot simply be moved."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from base.settings import Section

Stay = Literal["refuse", "shutdown"]
"""For a guest that has nowhere to go: the node is not taken, or the guest is shut down for the reboot."""
Way = Literal["move", "refuse", "shutdown"]


class HealthProbe(Section):
    """How to tell that a guest serves, and not merely runs. One of the three."""

    ping: str = Field("", description="an address of the guest that answers to ping, asked from where the bot runs")
    tcp: str = Field("", description='"ADDRESS:PORT" that takes a connection, asked from where the bot runs')
    agent: bool = Field(False, description="the QEMU guest agent answers, asked through the API")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.ping, self.tcp, self.agent))) != 1:
            raise ValueError("a health probe is one of ping, tcp and agent")
        return self


class GuestGroup(Section):
    name: str = Field(description='how people call them, such as "routers"')
    guests: tuple[int, ...] = Field(min_length=1, description="ids of the guests that stand in for each other")
    keep_running: int = Field(1, ge=1, description="how many members must run at any time")
    health: dict[int, HealthProbe] = Field(
        default_factory=dict, description="by guest id: how to tell that a member serves; without one, running counts"
    )

    @model_validator(mode="after")
    def _members_only(self) -> Self:
        if strangers := sorted(set(self.health) - set(self.guests)):
            raise ValueError(f"health names {', '.join(map(str, strangers))}, no member of {self.name}")
        return self


class CannotMove(Section):
    """What becomes of a running guest that cannot be moved live: by kind, and by guest, which comes first."""

    otherwise: Stay = Field(
        "refuse", description="any guest that has nowhere to go; `cannot_move: shutdown` in one word says this alone"
    )
    passthrough: Stay | None = Field(
        None, description="guests bound by a device or a CD of their node; not set = as `otherwise`"
    )
    local_disks: Way = Field("move", description="VMs with disks on their node: move copies them while the VM runs")
    containers: Way = Field("move", description="containers have no live migration: move restarts them elsewhere")
    guests: dict[int, Way] = Field(default_factory=dict, description="by guest id, whatever its kind")


def _by_kind(word: Any) -> Any:
    """One word stands for all guests that have nowhere to go."""
    if not isinstance(word, str):
        return word
    if word not in ("refuse", "shutdown"):
        raise ValueError(f"{word!r} is neither refuse nor shutdown; by kind and by guest it is a section of its own")
    return {"otherwise": word}


CannotMoveSetting = Annotated[CannotMove, BeforeValidator(_by_kind)]
