"""A telephone company, a push service and a sink for messages, over real HTTP on loopback, for demo and tests."""

from __future__ import annotations

from sandbox.phones.company import ACCOUNT, CALLER, CAST, TOKEN, Call, Company, Habit, Subscriber
from sandbox.phones.expect import Expect
from sandbox.phones.pushes import APP_TOKEN, Push
from sandbox.phones.server import LocalPhones, PhonesInThread, run_in_thread

__all__ = [
    "ACCOUNT",
    "APP_TOKEN",
    "CALLER",
    "CAST",
    "TOKEN",
    "Call",
    "Company",
    "Expect",
    "Habit",
    "LocalPhones",
    "PhonesInThread",
    "Push",
    "Subscriber",
    "run_in_thread",
]
