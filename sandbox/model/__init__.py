"""A Proxmox VE cluster with GlusterFS, as it behaves: three nodes, guests, tasks, heals, and their well-known lies.

Nothing ticks. What will happen lies on an agenda with its time, and every call says what time it is: the model first
does what is due by then. What changes between two such moments (uptimes, heal counts) is worked out when asked.
"""

from sandbox.model.core import Away, Denied, Event, What
from sandbox.model.model import Model

__all__ = ["Away", "Denied", "Event", "Model", "What"]
