"""What a person writes about watching a cluster from outside: what is looked at, how often, what is an outage."""

from __future__ import annotations

from pydantic import Field

from base.settings import Duration, Section


class Pace(Section):
    """How often one looks, and how many looks make an outage or its end."""

    every: Duration = Field(10.0, ge=1.0, description="from one look to the next")
    doubt_every: Duration = Field(
        300.0,
        ge=1.0,
        description="the same, if that is sooner, while the last looks speak against what is known of it",
    )
    timeout: Duration = Field(3.0, gt=0.0, description="a look that takes longer has failed")
    fails: int = Field(3, ge=1, description="so many failed looks, of the last `of`, are an outage")
    of: int = Field(5, ge=1, description="how many looks count; at least `fails`")
    recover: int = Field(3, ge=1, description="so many good looks in a row end it")
    severity: str = Field("critical", description="what the outage's thread says of it")
    policy: str = Field("", description="policy of the section oncall by which people are woken; empty = the first")


class ProbingSettings(Pace):
    """The probes that nobody has to write: SSH and API port of every node, members of guest groups, Gluster."""

    defaults: bool = Field(True, description="false: only what `probes` lists is looked at")
    serving_every: Duration = Field(
        60.0, ge=1.0, description="from one look at a guest's health probe to the next; a guest may boot in between"
    )
    gluster_every: Duration = Field(300.0, ge=1.0, description="from one look at Gluster's gates to the next")
    gluster_processes_every: Duration = Field(
        3600.0, ge=1.0, description="from one `volume status` to the next, which takes the lock of its volume"
    )
    slow_timeout: Duration = Field(
        60.0, gt=0.0, description="of looks that ask the cluster itself: guest states, Gluster"
    )


class ProbeSettings(Pace):
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$",
        description="how people call it; the name of a default probe takes its place",
    )
    kind: str = Field(description="one of the kinds in docs/probes.md, such as ping, tcp or http")
    target: str = Field("", description='what it looks at: "192.0.2.1:443", "https://...", a node, a guest\'s id')
    expect: str = Field("", description="tcp: what the server says first; http: what stands in the page")
    verify: bool = Field(True, description="http: false takes any certificate")
    parents: tuple[str, ...] = Field(
        (), description="probes it is reached through, any one of them; while all are down it is not judged"
    )
    node: str = Field("", description="node it goes down with: while a run reboots that node it is not judged")
    guest: int = Field(0, ge=0, description="guest it goes down with: while a run has stopped that guest, likewise")
