"""The API face of a node: HTTPS on a port of its own, every request judged as a real Proxmox VE judges it.

In this order, as there: is the token known (401), is there such a method (501), may the token do it (403), does the
node that it is about answer (595, 596), are the parameters right (400). What the cluster then says comes from
`sandbox.pve_answers`, and is itself judged by the contract: an answer that no Proxmox VE could give fails loudly.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from sandbox.lines import Fault, Faults, Gone
from sandbox.pve_contract import Acl, Contract, Method, PveError, answer_errors

BASE = "/api2/json"


Answer = Callable[[str, Method, Mapping[str, Any]], Any]
"""(the node asked, the method, its parameters) -> what stands under `data`. Raises PveError or Gone."""


@dataclass(slots=True)
class Api:
    """What all nodes of one cluster share. `tokens`: "user@realm!name=secret"."""

    tokens: set[str]
    answer: Answer
    reach: Callable[[str], None]
    """(node): raises PveError 595 when no other node can forward to it."""
    faults: Faults
    acl: Acl = field(default_factory=Acl)
    contract: Contract = field(default_factory=Contract)

    def call(self, node: str, verb: str, path: str, token: str, given: Mapping[str, str]) -> Any:
        """One request, from the token to the answer. Raises PveError."""
        if token not in self.tokens:
            raise PveError(401, "invalid token value!" if token else "No ticket")
        method, named = self.contract.find(verb, path)
        self.acl.require(method.permissions.get("check"), named)
        if method.proxy:
            self._forward(node, _answering_node(named, method.proxy), f"{verb} {path}")
        values = method.checked({**named, **given})
        return self._judged(method, self.answer(node, method, values))

    def _forward(self, asked: str, target: str, what: str) -> None:
        self.reach(target)
        if target != asked and self.faults.take(target, what, only=Fault.HANG):
            raise PveError(596, "Connection timed out")  # which a real one says after 30 s

    def _judged(self, method: Method, answer: Any) -> Any:
        wrong = answer_errors(method.returns, answer)
        if wrong:
            raise AssertionError(f"no Proxmox VE answers {method.verb} {method.path} like this: {'; '.join(wrong[:5])}")
        return answer


def _answering_node(named: Mapping[str, str], proxy: str) -> str:
    """The node that a request is forwarded to; of a task, the one in its UPID."""
    upid = named.get("upid", "")
    return upid.split(":")[1] if upid.count(":") == 8 else named[proxy]


class ApiFace:
    """One node's API port."""

    def __init__(self, node: str, context: ssl.SSLContext, api: Api) -> None:
        self.node = node
        self._context = context
        self._api = api
        self._runner: web.AppRunner | None = None

    async def open(self, listener: socket.socket) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._respond)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=self._context).start()

    async def close(self) -> None:
        if self._runner and self._runner.server:
            for connection in self._runner.server.connections:
                _break(connection.transport)
            await self._runner.cleanup()

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.rel_url.raw_path).removeprefix(BASE)
        fault = self._api.faults.take(self.node, f"{request.method} {path}")
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.DROP_BEFORE:
            _break(request.transport)
            return web.Response(status=500)  # reaches nobody
        given = {**request.query, **{key: str(value) for key, value in (await request.post()).items()}}
        try:
            response = self._answered(request, path, given, fault)
        except Gone:
            _break(request.transport)
            response = web.Response(status=500)
        if fault is Fault.DROP_AFTER:
            _break(request.transport)
        return response

    def _answered(self, request: web.Request, path: str, given: Mapping[str, str], fault: Fault | None) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("PVEAPIToken=")
        try:
            data = self._api.call(self.node, request.method, path, token, given)
        except PveError as error:
            return _refusal(error)
        if fault is Fault.GARBAGE:
            return web.Response(text="<!doctype html><p>It works!", content_type="text/html")
        return web.json_response({"data": data})


def _refusal(error: PveError) -> web.Response:
    """PVE's own shape: the sentence is the reason of the status line, and stands in the body once more."""
    body: dict[str, Any] = {"data": None, "message": error.message + "\n"}
    if error.errors:
        body["errors"] = error.errors
    return web.Response(
        status=error.status, reason=error.message, text=json.dumps(body), content_type="application/json"
    )


def _break(transport: asyncio.BaseTransport | None) -> None:
    """Reset, with no goodbye: what is on the way is lost."""
    if isinstance(transport, asyncio.Transport):
        transport.abort()
