"""A model cluster on real ports: for each node an API over TLS and an SSH server, all on 127.0.0.1.

    faces = Faces(model, clock, directory)
    faces.start()
    settings = faces.settings()        # to reach them with the bot's own adapters
    ...
    faces.stop()

They live in one thread with a loop of its own; the model is touched in that thread only. Whoever wants to look at it or
to change it while the faces run does so through `faces.run`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
from pydantic import SecretStr

from cluster.settings import ApiSettings, NodeSettings, PathSettings, SshSettings
from sandbox.door import HOST, Door
from sandbox.faults import Kind
from sandbox.helper import Helper
from sandbox.inroads import JUMP_USER, JumpHost, Line, SocksProxy
from sandbox.lines import Act, Acts, Faults
from sandbox.loops import Loop, end_all
from sandbox.model import Model
from sandbox.model.model import OUR_USER
from sandbox.pve_answers import Answers
from sandbox.pve_api import Api, ApiFace
from sandbox.pve_contract import Acl
from sandbox.simpaths import lives
from sandbox.spec import managed_settings, settings_section
from sandbox.ssh_server import SshFace
from sandbox.tls import Authority, NodeCertificate
from workflows.settings import ManagedCluster

T = TypeVar("T")

LOGIN = "roundsman"
TOKEN = "5a4d0b0c-5a4d-4b0c-8a4d-0b0c5a4d0b0c"
"""Opens nothing but the sandbox."""

FOLLOW_S = 0.02
"""Real seconds between two looks at which nodes are up."""


class Faces:
    """`faults`: break a line, or be told of every act. `acl`: what the token may; take a privilege away at will."""

    def __init__(self, model: Model, clock: Callable[[], float], directory: Path) -> None:
        self.model = model
        self.directory = directory
        self.faults = Faults()
        self.acl = Acl()
        if model.spec.ceph:
            self.acl.give("/", "Sys.Modify")
        if model.spec.replicas:
            self.acl.give("/vms", "VM.Replicate")
        self.names = tuple(model.machines.all)
        self._clock = clock
        self._authority = Authority(directory, time.time())
        self._key_file = directory / "bot_ed25519"
        self._loop = Loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faces", daemon=True)
        self._follower: Future[None] | None = None
        self._paths = [PathSettings(**path) for path in settings_section(model.spec)["paths"]]
        self._ways_held = False
        self._build()

    def _build(self) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519", comment="the bot's key of a sandbox")
        self._key_file.touch(mode=0o600)
        key.write_private_key(self._key_file)
        allowed = self.directory / "authorized_keys"
        key.write_public_key(allowed)
        line = Acts(self.model, self._clock, self.faults)
        answers = Answers(self.model, self._clock, line, self.acl, OUR_USER, self._fingerprint)
        api = Api({f"{OUR_USER}={TOKEN}"}, answers.answer, answers.reach, self.faults, self.acl)
        helper = Helper(self.model, self._clock, line)
        self.certificates: dict[str, NodeCertificate] = {n: self._authority.issue(n) for n in self.names}
        self.ssh = {n: SshFace(n, LOGIN, allowed, helper.answer, self.faults) for n in self.names}
        self._ssh_doors = {name: Door(face) for name, face in self.ssh.items()}
        self._api_doors = {
            name: Door(ApiFace(name, certificate.context(), api)) for name, certificate in self.certificates.items()
        }
        self._build_ways(allowed)

    def _build_ways(self, client_keys: Path) -> None:
        """Each port of a node behind a line of its own; the jump host behind another one; a proxy beside them."""
        self._lines = {door.port: Line(door.port) for door in (*self._ssh_doors.values(), *self._api_doors.values())}
        self._line_doors = {port: Door(line) for port, line in self._lines.items()}
        inside = {door.port: port for port, door in self._line_doors.items()}
        self.jump = JumpHost(client_keys, inside.__getitem__)
        self._jump_door = Door(self.jump)
        self.jump_line = Line(self._jump_door.port)
        self._jump_line_door = Door(self.jump_line)
        self.socks = SocksProxy(inside.__getitem__)
        self._socks_door = Door(self.socks)

    # for whoever uses them ------------------------------------------------------------------------------------
    def start(self) -> None:
        self._thread.start()
        self.settle()
        self._follower = asyncio.run_coroutine_threadsafe(self._follow_always(), self._loop)

    def stop(self) -> None:
        """Every port is free again afterwards; also for faces that were never started."""
        if self._thread.is_alive():
            if self._follower:
                self._follower.cancel()
            self._wait(self._shut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        else:
            self._loop.run_until_complete(self._shut())
        self._loop.close()

    def run(self, fn: Callable[[], T]) -> T:
        """Do something with the model at its present time, in the faces' thread."""

        async def at_present() -> T:
            self.model.advance(self._clock())
            return fn()

        return self._wait(at_present())

    def settle(self) -> None:
        """Doors open and close by themselves within moments of the model; this waits for them."""
        self._wait(self._follow())

    def hold_ways(self) -> None:
        """Whoever cuts lines by hand does so undisturbed: they no longer follow the model."""
        self._ways_held = True

    @property
    def direct_lines(self) -> list[Line]:
        """Those by which the nodes are reached directly."""
        return list(self._lines.values())

    def release_ways(self) -> None:
        self._ways_held = False

    def on_act(self, callback: Callable[[Act], None]) -> None:
        self.faults.on_act(callback)

    def change_host_key(self, node: str) -> None:
        """Somebody else answers on this node's SSH port from now on."""

        async def change() -> None:
            await self._ssh_doors[node].follow(False)
            self.ssh[node].host_key = asyncssh.generate_private_key("ssh-ed25519")
            await self._follow()

        self._wait(change())

    def section(self) -> dict[str, Any]:
        """The keys of a cluster's section of the settings file that say how to reach it. The token's secret is meant
        for the environment; see TOKEN."""
        return {
            "nodes": {name: self._node(name) for name in self.names},
            "api": {"token_id": OUR_USER, "ca_file": str(self._authority.ca_file)},
            "ssh": {"user": LOGIN, "key_file": str(self._key_file)},
            "paths": [self._path(path) for path in settings_section(self.model.spec)["paths"]],
        }

    def socks_path(self, **more: Any) -> PathSettings:
        """A third way in, through the proxy."""
        return PathSettings(name="vpn", kind="socks", proxy=f"{HOST}:{self._socks_door.port}", **more)

    def settings(self) -> ManagedCluster:
        """What a careful admin would write for this cluster, with the ways that lead to these faces."""
        section = self.section()
        ways = {
            "nodes": {name: NodeSettings(**node) for name, node in section["nodes"].items()},
            "api": ApiSettings(**section["api"], token=SecretStr(TOKEN)),
            "ssh": SshSettings(**section["ssh"]),
            "paths": tuple(PathSettings(**path) for path in section["paths"]),
        }
        return managed_settings(self.model.spec).model_copy(update=ways)

    # how ------------------------------------------------------------------------------------------------------
    def _node(self, name: str) -> dict[str, Any]:
        return {
            "address": HOST,
            "host_key": self.ssh[name].public_host_key,
            "ssh_port": self._line_doors[self._ssh_doors[name].port].port,
            "api_port": self._line_doors[self._api_doors[name].port].port,
        }

    def _path(self, path: dict[str, Any]) -> dict[str, Any]:
        if path["kind"] != "jump":
            return path
        here = {"address": HOST, "port": self._jump_line_door.port, "user": JUMP_USER}
        return {**path, "jumps": [{**here, "host_key": self.jump.public_host_key}]}

    def _fingerprint(self, node: str) -> str:
        return self.certificates[node].fingerprint

    async def _follow(self) -> None:
        for name in self.names:
            await self._ssh_doors[name].follow(self.model.ssh_answers(self._clock(), name))
            await self._api_doors[name].follow(self.model.api_answers(self._clock(), name))
        await self._follow_ways()

    async def _follow_ways(self) -> None:
        """A line's port is there while the node's is; what a dead path carried is lost, and breaks once it lives."""
        now, doors = self._clock(), {**self._ssh_doors, **{f"{name} API": d for name, d in self._api_doors.items()}}
        for door in doors.values():
            await self._line_doors[door.port].follow(door.is_open)
        for always in (self._jump_door, self._jump_line_door, self._socks_door):
            await always.follow(True)
        for path in () if self._ways_held else self._paths:
            for name in self.names if path.kind == "direct" else ("",):
                slow = self.model.trouble.has(Kind.PATH_SLOW, path.name)
                for line in self._lines_of(path, name):
                    await _become(line, not lives(self.model, now, path, name), slow.amount if slow else 0.0)

    def _lines_of(self, path: PathSettings, node: str) -> list[Line]:
        if path.kind == "direct":
            return [self._lines[self._ssh_doors[node].port], self._lines[self._api_doors[node].port]]
        return [self.jump_line] if path.kind == "jump" else []

    async def _follow_always(self) -> None:
        while True:
            await self._follow()
            await asyncio.sleep(FOLLOW_S)

    async def _shut(self) -> None:
        ways = (*self._line_doors.values(), self._jump_line_door, self._jump_door, self._socks_door)
        for door in (*ways, *self._ssh_doors.values(), *self._api_doors.values()):
            await door.shut()
        await end_all()  # also handshakes with whoever knocked last

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """In the faces' thread. Raises also what the doors' own watch died of, so that it does not die unseen."""
        if self._follower and self._follower.done() and not self._follower.cancelled():
            coroutine.close()
            self._follower.result()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)


async def _become(line: Line, silent: bool, slow: float) -> None:
    line.slow = slow
    if line.silent and not silent:
        await line.cut_off()
    line.silent = silent
