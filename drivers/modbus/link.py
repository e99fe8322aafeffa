"""What a Modbus link is, as the site says it: a TCP host or a serial line."""

from collections.abc import Mapping
from typing import Any

from pymodbus.transport import CommParams, CommType

from drivers.modbus.check import SERIAL
from drivers.modbus.wire import Line
from gateway.domain.site import Link

PORT = 502
CONNECT_S = 2.0


def is_serial(link: Link) -> bool:
    """A serial line, not a TCP host."""
    return link.driver == "modbus_rtu"


def line_settings(binding: Mapping[str, Any]) -> dict[str, Any]:
    """The four settings of a serial line, with their usual values."""
    return {name: binding.get(name, usual) for name, usual in SERIAL.items()}


def comm_params(link: Link) -> CommParams:
    """How pymodbus connects; reconnecting is ours."""
    raw = link.binding
    common: dict[str, Any] = {
        "comm_name": link.id,
        "reconnect_delay": 0,
        "timeout_connect": CONNECT_S,
    }
    if is_serial(link):
        return CommParams(
            comm_type=CommType.SERIAL,
            host=str(raw["port"]),
            handle_local_echo=bool(raw.get("local_echo")),
            **line_settings(raw),
            **common,
        )
    host, port = str(raw["host"]), int(raw.get("port", PORT))
    return CommParams(comm_type=CommType.TCP, host=host, port=port, **common)


def line_of(link: Link) -> Line:
    """Framing and timing: a serial line has both, a TCP host behind a converter only framing."""
    raw = link.binding
    if not is_serial(link):
        return Line(rtu=raw.get("framing") == "rtu")
    settings = line_settings(raw)
    parity = 0 if settings["parity"] == "N" else 1
    bits = 1 + settings["bytesize"] + parity + settings["stopbits"]
    return Line(rtu=True, character_s=bits / settings["baudrate"])
