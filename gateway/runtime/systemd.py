"""Tell systemd that we are ready and alive (sd_notify): one datagram to a socket it names."""

import asyncio
import os
import socket

import structlog

log = structlog.get_logger()


def notify(message: str) -> None:
    """Send one state to systemd; nothing where it did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            wire.connect(address)
            wire.sendall(message.encode())
    except OSError as error:
        log.warning("systemd_not_told", error=str(error))


def watchdog_s() -> float | None:
    """How often systemd wants to hear of us (half of what it waits), None if it does not."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2_000_000 if microseconds.isdigit() else None


async def watch() -> None:
    """Ping the watchdog from the event loop for ever: a loop that hangs is restarted."""
    period = watchdog_s()
    while period is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period)
    await asyncio.Event().wait()
