"""Every kind of probe against something real: sockets on loopback, a web server, the sandbox's cluster."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from icmplib import SocketPermissionError

from cluster.guest_settings import GuestGroup, HealthProbe
from cluster.live import LiveCluster
from cluster.probe_settings import Pace
from cluster.probes import _names, look, ping, read
from cluster.probes._common import Failed, Ok, Probe, Unknown
from sandbox.faults import Fault, Kind
from sandbox.loops import end_all
from sandbox.sockets import refused_port, silent_port
from tests.edges.facing import Night
from tests.waiting import PATIENCE_S

QUICK, PATIENT = Pace(every=5.0, timeout=0.3), Pace(every=PATIENCE_S, timeout=PATIENCE_S)
"""For what never answers, and for what does."""


def at(kind: str, target: str, pace: Pace = PATIENT, **more: Any) -> Probe:
    return Probe("a", kind, target, pace, **more)


def seen(probe: Probe) -> object:
    async def once() -> object:
        found = await look(probe)
        await end_all()  # TLS says goodbye in the loop, which goes on in the bot
        return found

    return asyncio.run(once())


@contextmanager
def greeting(text: bytes) -> Iterator[int]:
    """A port that says this to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)

        def serve() -> None:
            line, _ = server.accept()
            line.sendall(text)
            line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


# ---- tcp ---------------------------------------------------------------------------------------------------------


def test_a_port_that_takes_a_connection_is_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert seen(at("tcp", f"127.0.0.1:{server.getsockname()[1]}")) == Ok()


def test_a_port_that_refuses_is_not() -> None:
    with refused_port() as port:
        assert seen(at("tcp", f"127.0.0.1:{port}")) == Failed(f"127.0.0.1:{port} refuses connections")


def test_a_port_that_says_nothing_is_given_up_after_its_time() -> None:
    with silent_port() as port:
        assert seen(at("tcp", f"127.0.0.1:{port}", QUICK)) == Failed(f"127.0.0.1:{port} does not answer within 0.3 s")


def test_a_server_that_greets_as_it_should_is_well() -> None:
    with greeting(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert seen(at("tcp", f"127.0.0.1:{port}", expect="SSH-")) == Ok()


def test_another_greeting_is_shown() -> None:
    with greeting(b"220 mail\r\n") as port:
        assert seen(at("tcp", f"127.0.0.1:{port}", expect="SSH-")) == Failed(f'127.0.0.1:{port} says "220 mail"')


def test_a_server_that_hangs_up_without_a_word_has_failed() -> None:
    with greeting(b"") as port:
        found = seen(at("tcp", f"127.0.0.1:{port}", expect="SSH-"))
    assert found == Failed(f"127.0.0.1:{port} takes connections and says nothing")


def test_a_process_that_hangs_behind_an_open_port_has_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel takes the connection, nobody else does
        found = seen(at("tcp", f"127.0.0.1:{server.getsockname()[1]}", QUICK, expect="SSH-"))
    assert isinstance(found, Failed)
    assert "does not answer within" in found.why


def test_a_name_that_was_never_known_is_unknown() -> None:
    found = seen(at("tcp", "no-such-host.invalid:22"))
    assert isinstance(found, Unknown | Failed)


def test_a_name_server_that_dies_does_not_hide_what_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice(probe: Probe) -> list[object]:
        first = await look(probe)

        async def dead(*_: object, **__: object) -> object:
            raise socket.gaierror(-3, "Temporary failure in name resolution")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", dead)
        monkeypatch.setattr(_names, "FRESH_S", 0.0)
        return [first, await look(probe)]

    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = at("tcp", f"localhost:{server.getsockname()[1]}")
        assert asyncio.run(twice(probe)) == [Ok(), Ok()]


def test_a_name_server_that_is_silent_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice(probe: Probe) -> list[object]:
        first = await look(probe)

        async def silent(*_: object, **__: object) -> object:
            return await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
        monkeypatch.setattr(_names, "FRESH_S", 0.0)
        monkeypatch.setattr(_names, "ASK_S", 0.05)
        return [first, await look(probe)]

    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = at("tcp", f"localhost:{server.getsockname()[1]}")
        assert asyncio.run(twice(probe)) == [Ok(), Ok()]


# ---- http --------------------------------------------------------------------------------------------------------


def page(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], url: Callable[[int], str], **more: Any
) -> object:
    async def visit() -> object:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            return await look(at("http", url(port), **more))
        finally:
            await runner.cleanup()

    return asyncio.run(visit())


def url(port: int) -> str:
    return f"http://admin:secret@127.0.0.1:{port}/health?token=secret"


async def fine(_: web.Request) -> web.Response:
    return web.Response(text="<p>all is well</p>")


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def elsewhere(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://192.0.2.1/")


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def mute(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


def test_a_page_is_well_by_its_status() -> None:
    assert page(fine, url) == Ok()
    assert page(elsewhere, url) == Ok()


def test_a_page_that_fails_is_told_without_the_secrets_of_its_address() -> None:
    found = page(broken, url)
    assert isinstance(found, Failed)
    assert found.why.endswith("/health answers 503")
    assert "secret" not in found.why


def test_a_page_must_contain_what_is_expected() -> None:
    assert page(fine, url, expect="all is well") == Ok()
    found = page(fine, url, expect="42")
    assert isinstance(found, Failed)
    assert found.why.endswith('answers 200, but without "42"')


def test_a_page_without_an_end_is_not_read_to_its_end() -> None:
    found = page(endless, url, expect="42")
    assert isinstance(found, Failed)


def test_a_web_server_that_never_answers_has_failed_in_time() -> None:
    assert isinstance(page(mute, url, pace=QUICK), Failed)


def test_a_certificate_that_nobody_vouches_for_has_failed_unless_it_need_not_be_trusted(night: Night) -> None:
    target = f"https://127.0.0.1:{night.settings.nodes['pve1'].api_port}/api2/json/version"
    found = seen(Probe("a", "http", target, PATIENT))
    assert isinstance(found, Failed)
    assert "is not trusted" in found.why
    answered = seen(Probe("a", "http", target, PATIENT, verify=False))
    assert answered == Failed(f"{target} answers 401")


def test_a_web_server_that_is_not_there_has_failed() -> None:
    with refused_port() as port:
        assert seen(at("http", f"http://127.0.0.1:{port}/")) == Failed(f"http://127.0.0.1:{port}/ refuses connections")


# ---- ping --------------------------------------------------------------------------------------------------------


def test_this_machine_answers_to_a_ping_or_to_a_knock() -> None:
    assert isinstance(seen(at("ping", "127.0.0.1")), Ok)


def test_where_no_ping_is_allowed_a_refusal_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object, **__: object) -> None:
        raise SocketPermissionError(privileged=True)

    monkeypatch.setattr(ping, "async_ping", forbidden)
    with refused_port() as port:
        monkeypatch.setattr(ping, "KNOCK", port)
        found = seen(at("ping", "127.0.0.1"))
    assert found == Ok(f"was only knocked at, on TCP port {port}: {ping.NOT_ALLOWED} (docs/install.md)")
    with silent_port() as port:
        monkeypatch.setattr(ping, "KNOCK", port)
        found = seen(at("ping", "127.0.0.1", QUICK))
    assert isinstance(found, Failed)
    assert ping.NOT_ALLOWED in found.why


# ---- what asks the cluster ---------------------------------------------------------------------------------------


@pytest.fixture
def cluster(night: Night) -> Iterator[LiveCluster]:
    live = LiveCluster(night.settings, night.clock, night.clock.sleep)
    yield live
    live.close()


def test_the_api_of_each_node_is_asked_itself(night: Night, cluster: LiveCluster) -> None:
    night.power_cut("pve2")
    assert read(at("pve_api", "pve1"), cluster) == Ok()
    found = read(at("pve_api", "pve2"), cluster)
    assert isinstance(found, Failed)
    assert found.why.startswith("no connection to the API of pve2")


def test_a_guest_is_known_by_whichever_node_answers(night: Night, cluster: LiveCluster) -> None:
    assert read(at("guest", "101"), cluster) == Ok()
    night.faces.run(lambda: night.model.guests.stops(night.model.guests.get(101), "somebody"))
    assert read(at("guest", "101"), cluster) == Failed("router-a is stopped on pve1", heard=True)
    assert read(at("guest", "999"), cluster) == Failed("there is no guest 999", heard=True)


def test_gluster_is_judged_by_its_gates(night: Night, cluster: LiveCluster) -> None:
    assert read(at("gluster", ""), cluster) == Ok()
    assert read(at("gluster_processes", ""), cluster) == Ok()
    night.power_cut("pve2")
    night.pass_time(60.0)  # what was read seconds ago still counts
    assert not isinstance(read(at("gluster", ""), cluster), Ok)


def test_the_look_that_is_to_find_a_power_cut_takes_no_lock_of_gluster(
    cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`volume status` hangs then for two minutes, and the peers take the dead node for connected all that time."""
    asked, real = list[bool](), cluster._peers.survey

    def survey(status: bool) -> Any:
        asked.append(status)
        return real(status)

    monkeypatch.setattr(cluster._peers, "survey", survey)
    read(at("gluster", ""), cluster)
    read(at("gluster_processes", ""), cluster)
    assert asked == [False, True]


def test_a_guest_that_runs_and_does_not_serve_has_failed(night: Night) -> None:
    routers = GuestGroup(name="routers", guests=(101, 102), health={101: HealthProbe(agent=True)})
    live = LiveCluster(night.settings.model_copy(update={"groups": (routers,)}), night.clock, night.clock.sleep)
    assert read(at("serving", "101"), live) == Ok()
    night.faces.run(lambda: night.model.trouble.begin(Fault(Kind.NOT_SERVING, guest=101)))
    found = read(at("serving", "101"), live)
    assert isinstance(found, Failed)
    assert found.why.startswith("it runs, but does not serve: its guest agent does not answer")
    assert isinstance(read(at("serving", "102"), live), Unknown)
    for node in ("pve1", "pve2", "pve3"):
        night.power_cut(node)
    assert isinstance(read(at("serving", "101"), live), Unknown)
    live.close()


def test_a_cluster_of_which_no_node_answers_is_unknown_not_down(night: Night, cluster: LiveCluster) -> None:
    for node in ("pve1", "pve2", "pve3"):
        night.power_cut(node)
    assert isinstance(read(at("guest", "101"), cluster), Unknown)


def test_a_probe_that_breaks_is_unknown(cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "guests", lambda: [None])
    found = read(at("guest", "101"), cluster)
    assert isinstance(found, Unknown)
    assert found.why.startswith("the probe itself broke (AttributeError)")
