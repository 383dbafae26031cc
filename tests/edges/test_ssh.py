"""The SSH adapter against a real SSH server on loopback: what it returns, what it raises, and that it never hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest

from cluster.api import Refused, Uncertain, Unreachable
from cluster.lines import Direct
from cluster.login import Line, fingerprint, public_key
from cluster.settings import NodeSettings, PathSettings, SshSettings
from cluster.ssh import Done, SshNode, _Stream, spoken
from sandbox.loops import Loop, end_all
from sandbox.ssh_server import hang_up
from tests.waiting import PATIENCE_S, eventually

Process = asyncssh.SSHServerProcess[bytes]


class Door:
    """An SSH server in a thread of its own. What each command does is a coroutine; `seen` lists what was asked."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.key_file = folder / "bot_key"
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(self.key_file)
        (folder / "authorized").write_text(public_key(str(self.key_file)) + "\n")
        self._authorized = folder / "authorized"
        self._loop = Loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._acceptor = self._do(self._listen())
        self.port: int = self._acceptor.get_port()

    def node(self, **login: Any) -> SshNode:
        place = NodeSettings(address="127.0.0.1", ssh_port=self.port, host_key=self.public_host_key)
        patient = Direct(PathSettings(name="direct", silence=PATIENCE_S))
        return SshNode("pve1", place, SshSettings(**{"key_file": str(self.key_file), **login}), patient)

    @property
    def public_host_key(self) -> str:
        return self.host_key.export_public_key().decode().strip()

    def close(self) -> None:
        self._do(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _hang_up(self) -> None:
        await hang_up(self._acceptor, self.connections)
        for connection in self.connections:
            await connection.wait_closed()
        await end_all()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Login(self),
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self._authorized),
            process_factory=self._run,
            encoding=None,
        )

    async def _run(self, process: Process) -> None:
        command = process.command or ""
        self.seen.append(command)
        await COMMANDS[command.split()[0]](process)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


class _Login(asyncssh.SSHServer):
    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._door.connections.append(conn)


class _Silent(paramiko.ServerInterface):
    """Lets everybody in and opens a session, but never answers the request to run something."""

    def __init__(self) -> None:
        self.thaw, self.thawed = threading.Event(), False

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.thaw.wait(PATIENCE_S)
        self.thawed = True
        return True


async def _both_streams(process: Process) -> None:
    process.stdout.write(b"to stdout\n")
    process.stderr.write(b"to stderr\n")
    process.exit(7)


async def _echo(process: Process) -> None:
    process.stdout.write(await process.stdin.read())
    process.exit(0)


async def _big(process: Process) -> None:
    """More than a window of each stream, in turns: whoever reads only one of them first hangs."""
    for _ in range(48):
        process.stderr.write(b"e" * 65536)
        process.stdout.write(b"o" * 65536)
    process.exit(0)


async def _hang(process: Process) -> None:
    process.stdout.write(b"so far\n")
    await process.wait_closed()


async def _flood(process: Process) -> None:
    try:
        for _ in range(1600):
            process.stdout.write(b"x" * 65536)
            await process.stdout.drain()
    except (OSError, asyncssh.Error):
        return


async def _flood_errors(process: Process) -> None:
    try:
        for _ in range(1600):
            process.stderr.write(b"x" * 65536)
            await process.stderr.drain()
    except (OSError, asyncssh.Error):
        return


async def _drop(process: Process) -> None:
    process.stdout.write(b"half an ans")
    await process.stdout.drain()
    process.channel.get_connection().abort()


async def _language(process: Process) -> None:
    process.stdout.write(str(process.env.get("LC_ALL")).encode())
    process.exit(0)


async def _no_code(process: Process) -> None:
    process.stdout.write(b"killed\n")
    process.close()


COMMANDS: dict[str, Callable[[Process], Coroutine[Any, Any, None]]] = {
    "both": _both_streams,
    "echo": _echo,
    "big": _big,
    "hang": _hang,
    "flood": _flood,
    "flood-errors": _flood_errors,
    "drop": _drop,
    "no-code": _no_code,
    "language": _language,
    "sudo": _hang,
}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def pve1(door: Door) -> Iterator[SshNode]:
    node = door.node()
    yield node
    node.close()


def test_exit_code_and_both_streams_come_back(pve1: SshNode) -> None:
    assert pve1.run(["both"], PATIENCE_S) == Done(7, b"to stdout\n", b"to stderr\n")


def test_words_with_spaces_and_quotes_arrive_as_they_are(pve1: SshNode, door: Door) -> None:
    pve1.run(["both", "it's one; word"], PATIENCE_S)
    assert door.seen == ["""both 'it'"'"'s one; word'"""]


def test_a_node_is_asked_to_speak_english(pve1: SshNode) -> None:
    """By its words it is known why sudo or a shell refuses, and what helps."""
    assert pve1.run(["language"], PATIENCE_S).out == b"C"


def test_what_is_given_on_stdin_arrives(pve1: SshNode) -> None:
    assert pve1.run(["echo"], PATIENCE_S, stdin=b"the helper's file").out == b"the helper's file"


def test_more_than_a_window_on_both_streams_does_not_deadlock(pve1: SshNode) -> None:
    done = pve1.run(["big"], PATIENCE_S, limit_bytes=16 * 2**20)
    assert (done.rc, len(done.out), len(done.err)) == (0, 48 * 65536, 48 * 65536)


def test_a_second_command_uses_the_same_connection(pve1: SshNode, door: Door) -> None:
    pve1.run(["both"], PATIENCE_S)
    pve1.run(["both"], PATIENCE_S)
    assert len(door.connections) == 1


def test_threads_share_one_connection(pve1: SshNode, door: Door) -> None:
    with ThreadPoolExecutor(5) as pool:
        assert [done.rc for done in pool.map(pve1.run, [["both"]] * 5, [PATIENCE_S] * 5)] == [7] * 5
    assert (len(door.connections), door.seen) == (1, ["both"] * 5)


def test_a_session_that_does_not_open_in_time_ends_no_command_that_is_under_way(
    pve1: SshNode, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is left for another one, and closed when the last command over it has ended."""
    go, opens = threading.Event(), paramiko.Transport.open_session

    async def wait(process: Process) -> None:
        await asyncio.to_thread(go.wait, PATIENCE_S)
        process.exit(0)

    def late(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(paramiko.Transport, "open_session", opens)
        raise paramiko.SSHException("Timeout opening channel.")

    monkeypatch.setitem(COMMANDS, "wait", wait)
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(pve1.run, ["wait"], PATIENCE_S)
        eventually(lambda: door.seen)
        monkeypatch.setattr(paramiko.Transport, "open_session", late)
        assert pve1.run(["both"], PATIENCE_S).rc == 7
        go.set()
        assert under_way.result().rc == 0
    assert len(door.connections) == 2
    eventually(door.connections[0].is_closed)


@pytest.mark.slow
def test_a_command_that_never_ends_is_left_at_the_deadline(pve1: SshNode) -> None:
    pve1.run(["both"], PATIENCE_S)  # connecting counts
    with pytest.raises(Uncertain, match="`hang` on pve1 did not end within 2 s"):
        pve1.run(["hang"], 2)


@pytest.mark.slow
def test_a_hanging_command_does_not_keep_the_next_one_from_running(pve1: SshNode) -> None:
    pve1.run(["both"], PATIENCE_S)  # connecting counts
    with pytest.raises(Uncertain):
        pve1.run(["hang"], 2)
    assert pve1.run(["both"], PATIENCE_S).rc == 7


@pytest.mark.slow
def test_a_server_that_never_answers_the_request_is_left_at_the_deadline(door: Door) -> None:
    host_key, silent = paramiko.Ed25519Key.from_private_key_file(str(door.key_file)), _Silent()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = NodeSettings(
            address="127.0.0.1", ssh_port=listener.getsockname()[1], host_key=public_key(str(door.key_file))
        )
        node = SshNode("pve1", place, SshSettings(key_file=str(door.key_file)))
        server = threading.Thread(target=_serve_silently, args=(listener, host_key, silent))
        server.start()
        with pytest.raises(Uncertain, match="`both` on pve1 did not end within 4 s"):
            node.run(["both"], 4)  # connecting counts
        assert not silent.thawed, "it was waited for, until it gave up by itself"
        silent.thaw.set()
        node.close()
        server.join(PATIENCE_S)


def _serve_silently(listener: socket.socket, host_key: paramiko.PKey, silent: _Silent) -> None:
    line, _ = listener.accept()
    with closing(paramiko.Transport(line)) as transport:
        transport.add_server_key(host_key)
        transport.start_server(server=silent)
        silent.thaw.wait(PATIENCE_S)


@pytest.mark.timing
@pytest.mark.parametrize("flood", ["flood", "flood-errors"])
def test_a_hundred_megabytes_are_cut_at_once_and_said(pve1: SshNode, flood: str) -> None:
    began = time.monotonic()
    with pytest.raises(Uncertain, match=f"`{flood}` on pve1 printed more than 1000000 bytes"):
        pve1.run([flood], PATIENCE_S, limit_bytes=1_000_000)
    assert time.monotonic() - began < 5


def test_a_line_dropped_in_the_middle_may_have_done_it(pve1: SshNode) -> None:
    with pytest.raises(Uncertain, match="the line broke after `drop` on pve1 was sent: it may have been done or not"):
        pve1.run(["drop"], PATIENCE_S)


@pytest.fixture
def dead_unseen(pve1: SshNode, monkeypatch: pytest.MonkeyPatch) -> paramiko.Channel:
    """A channel over a line that just died: whatever is sent over it fails, and nobody has noticed yet."""
    pve1.run(["both"], PATIENCE_S)
    assert pve1._kept
    channel = pve1._kept.transport.open_session()

    def lost(*_: Any) -> None:
        raise EOFError

    monkeypatch.setattr(pve1._kept.transport.packetizer, "send_message", lost)
    return channel


def test_a_reader_that_is_late_on_a_line_that_just_died_ends_quietly(dead_unseen: paramiko.Channel) -> None:
    """Closing a channel sends a word. What it raised in this thread, another test was blamed for."""
    reader = _Stream(dead_unseen, dead_unseen.recv_stderr, time.monotonic(), 10)
    reader.run()
    assert not reader.ended


def test_a_jump_host_s_line_that_just_died_is_closed_quietly(dead_unseen: paramiko.Channel) -> None:
    """By the thread of the connection that goes through it."""
    Line(dead_unseen).close()
    assert dead_unseen.closed


def test_a_line_that_dies_as_a_command_is_left_may_have_done_it(pve1: SshNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where closing the channel is the first to meet it."""

    def close(channel: paramiko.Channel) -> None:
        raise EOFError

    pve1.run(["both"], PATIENCE_S)
    monkeypatch.setattr(paramiko.Channel, "close", close)
    assert pve1.run(["both"], PATIENCE_S).rc == 7
    with pytest.raises(Uncertain, match="may have been done or not"):
        pve1.run(["drop"], PATIENCE_S)


def test_after_a_dropped_line_the_next_command_connects_anew(pve1: SshNode, door: Door) -> None:
    with pytest.raises(Uncertain):
        pve1.run(["drop"], PATIENCE_S)
    assert pve1.run(["both"], PATIENCE_S).rc == 7
    assert len(door.connections) == 2


def test_an_end_without_exit_code_is_not_taken_for_success(pve1: SshNode) -> None:
    with pytest.raises(Uncertain, match="may have been done or not"):
        pve1.run(["no-code"], PATIENCE_S)


def test_another_host_key_is_refused_with_both_fingerprints_and_what_to_do(door: Door) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    place = NodeSettings(address="127.0.0.1", ssh_port=door.port, host_key=other)
    with pytest.raises(Refused) as refused:
        SshNode("pve1", place, SshSettings(key_file=str(door.key_file))).run(["both"], PATIENCE_S)
    assert fingerprint(other.split()[1]) in str(refused.value)
    assert fingerprint(door.public_host_key.split()[1]) in str(refused.value)
    assert f'set nodes.pve1.host_key to "{door.public_host_key}"' in refused.value.hint
    assert door.seen == []


def test_a_pinned_key_of_another_kind_is_a_mismatch_too(door: Door) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode().strip()
    place = NodeSettings(address="127.0.0.1", ssh_port=door.port, host_key=other)
    with pytest.raises(Refused, match="shows the SSH host key SHA256:"):
        SshNode("pve1", place, SshSettings(key_file=str(door.key_file))).run(["both"], PATIENCE_S)


def test_a_login_that_is_not_let_in_is_refused_and_names_the_key(door: Door, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "mallory")
    with pytest.raises(Refused, match=r"pve1 does not let roundsman in with the key .*mallory") as refused:
        door.node(key_file=str(tmp_path / "mallory")).run(["both"], PATIENCE_S)
    assert "authorized_keys" in refused.value.hint


def test_a_missing_private_key_is_named(door: Door) -> None:
    with pytest.raises(Refused, match="the private key /nowhere/key cannot be used: it does not exist"):
        door.node(key_file="/nowhere/key").run(["both"], PATIENCE_S)


def test_a_private_key_that_is_no_key_is_named_without_its_content(door: Door, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hunter2")
    with pytest.raises(Refused, match="notes cannot be used") as refused:
        door.node(key_file=str(tmp_path / "notes")).run(["both"], PATIENCE_S)
    assert "hunter2" not in str(refused.value) + refused.value.hint


def test_nobody_listening_means_nothing_was_sent(door: Door) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = NodeSettings(address="127.0.0.1", ssh_port=free.getsockname()[1], host_key=door.public_host_key)
        with pytest.raises(Unreachable, match=r"pve1 does not answer over SSH .*refused"):
            SshNode("pve1", place, SshSettings(key_file=str(door.key_file))).run(["both"], PATIENCE_S)


def test_a_port_that_accepts_and_says_nothing_is_left_at_the_deadline(door: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = NodeSettings(address="127.0.0.1", ssh_port=mute.getsockname()[1], host_key=door.public_host_key)
        with pytest.raises(Unreachable, match="pve1 does not answer over SSH"):
            SshNode("pve1", place, SshSettings(key_file=str(door.key_file))).run(["both"], 0.5)


def test_a_port_that_accepts_and_says_nothing_is_told_of_in_words(door: Door) -> None:
    brief = Direct(PathSettings.model_construct(name="direct", silence=0.2))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = NodeSettings(address="127.0.0.1", ssh_port=mute.getsockname()[1], host_key=door.public_host_key)
        with pytest.raises(Unreachable, match=r"pve1 does not answer over SSH \(.*\): no SSH greeting comes$"):
            SshNode("pve1", place, SshSettings(key_file=str(door.key_file)), brief).run(["both"], PATIENCE_S)


def test_a_helper_command_is_spoken_of_by_its_verb() -> None:
    assert spoken(["sudo", "-n", "/usr/local/sbin/roundsman-helper", "gluster", "pool-list"]) == "gluster pool-list"
