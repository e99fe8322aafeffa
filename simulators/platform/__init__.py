"""A central platform: it books, acknowledges, verifies, commands, and raises "no cover".

It shares no code with the gateway: it knows the wire from its published description alone, so that
a mistake at one end is found at the other.
"""

from simulators.platform.feeds import Answer
from simulators.platform.ledger import Entry, Ledger
from simulators.platform.service import Address, Platform
from simulators.platform.usage import Puller, added_up

__all__ = ["Address", "Answer", "Entry", "Ledger", "Platform", "Puller", "added_up"]
