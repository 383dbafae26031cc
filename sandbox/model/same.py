"""Facts as the model tells them. They are frozen, so what is told again may be the very same object: a night tells the
same few thousands of times, and making a frozen one anew is what it would spend most of its time on."""

from __future__ import annotations

from functools import lru_cache

from cluster.facts import BrickHeal, BrickProcess, Capacity, Guest, Member, Peer, StorageRow

KEPT = 4096
"""Of each kind: more than a night knows."""

same_brick_heal = lru_cache(KEPT)(BrickHeal)
same_brick_process = lru_cache(KEPT)(BrickProcess)
same_capacity = lru_cache(KEPT)(Capacity)
same_guest = lru_cache(KEPT)(Guest)
same_member = lru_cache(KEPT)(Member)
same_peer = lru_cache(KEPT)(Peer)
same_storage_row = lru_cache(KEPT)(StorageRow)
