"""A local Slack: Web API and Socket Mode over real connections, and a page to look at. For the demo and the tests."""

from __future__ import annotations

from sandbox.slack.faults import Fault, Kind
from sandbox.slack.page import ClusterCard, NodeCard
from sandbox.slack.people import Answer
from sandbox.slack.server import LocalSlack
from sandbox.slack.socketmode import Pace
from sandbox.slack.state import ALICE, BOB, BOT, CAROL, CHANNEL, MALLORY, Channel, Manifest, Message, Refusal, UserGroup
from sandbox.slack.thread import SlackInThread, run_in_thread
from sandbox.slack.web import TIERS, Tokens

__all__ = [
    "ALICE",
    "BOB",
    "BOT",
    "CAROL",
    "CHANNEL",
    "MALLORY",
    "TIERS",
    "Answer",
    "Channel",
    "ClusterCard",
    "Fault",
    "Kind",
    "LocalSlack",
    "Manifest",
    "Message",
    "NodeCard",
    "Pace",
    "Refusal",
    "SlackInThread",
    "Tokens",
    "UserGroup",
    "run_in_thread",
]
