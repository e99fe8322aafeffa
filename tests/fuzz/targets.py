"""Every parser that eats what others say, by name. A target raises nothing but what is a bug."""

from collections.abc import Callable, Mapping

from fuzz import files, radio, sync, wires

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "modbus_reply": wires.take_reply,
    "modbus_registers": wires.take_registers,
    "mqtt_message": radio.take_messages,
    "mqtt_discovery": radio.take_discovery,
    "sync": sync.take_sync,
    "command": sync.take_command,
    "site": files.take_site,
    "profile": files.take_profile,
}
