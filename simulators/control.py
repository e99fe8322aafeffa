"""Commands to a running simulation from another terminal: a line of JSON in, a line out.

`{"do": "present_pin", "args": ["study_door", "1234"]}` is answered `{"ok": true, "result": null}`,
or `{"ok": false, "error": "…"}` with what was expected; `{"do": "help"}` lists what can be done.
The socket is a file that only its owner may use.
"""

import asyncio
import contextlib
import inspect
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.domain.errors import GatewayError, MalformedError
from simulators.devices import SimulatedSite
from simulators.models.connectors import Charger, SwitchedOutlet
from simulators.models.vehicles import KINDS

Command = Callable[..., Any]
LINE_MAX = 65_536


def world_commands(world: SimulatedSite) -> dict[str, Command]:
    """What people and things of a simulated site can be told to do."""
    commands: tuple[Command, ...] = (
        world.present_pin,
        world.present_card,
        world.present_pass,
        world.type_at_lock,
        world.person_enters,
        world.person_exits,
        world.force,
        world.press_exit,
        world.prop,
        world.shut,
        world.press,
        world.reset_button,
        world.fire,
        world.plug_in,
        world.unplug,
        world.swap,
        world.misbehave,
        world.overload,
        world.silence,
        world.delay,
        world.garble,
        world.heal,
        world.reboot,
        world.jam,
        world.free,
        world.cut_link,
        world.mend_link,
        world.cut_power,
        world.restore_power,
        world.restart_bridge,
        world.lose,
    )
    return {command.__name__: command for command in commands}


def world_names(world: SimulatedSite) -> dict[str, Collection[str]]:
    """The names that an argument of each kind may have."""
    site = world.town.site
    return {
        "door_or_outlet": {
            *site.doors,
            *(one for one in world.town.outlets if world.town.readers(one)),
        },
        "door": site.doors,
        "call_point": site.safety.call_points,
        "zone": site.safety.fire_zones,
        "device": site.equipment.devices,
        "link": site.equipment.links,
        "outlet": {*world.town.outlets, *world.town.connectors},
        "circuit": site.circuits,
        "vehicle": KINDS,
        "vice": {"none", *Charger.VICES, *SwitchedOutlet.VICES},
    }


class Control:
    """The socket, while it is open. `commands` may hold more than the world's own."""

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        names: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._path = path
        self._commands = commands
        self._names = names or {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._path.unlink, missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._joined, str(self._path), limit=LINE_MAX
            )
        finally:
            os.umask(mask)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        await asyncio.to_thread(self._path.unlink, missing_ok=True)

    async def obey(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        try:
            return {"ok": True, "result": await self._done(line)}
        except (GatewayError, KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": str(error)}

    async def _done(self, line: bytes) -> Any:
        asked = json.loads(line)
        if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
            raise MalformedError('expected {"do": a command, "args": […]}')
        name = asked.pop("do")
        if name == "help":
            return {one: _described(command) for one, command in self._commands.items()}
        _known("command", name, self._commands)
        command = self._commands[name]
        signature = inspect.signature(command)
        args, named = _named(asked.pop("args", ()), signature)
        bound = signature.bind(*args, **named, **asked)
        for parameter, value in bound.arguments.items():
            if parameter in self._names:
                _known(parameter, value, self._names[parameter])
            bound.arguments[parameter] = _typed(command, parameter, value)
        result = command(*bound.args, **bound.kwargs)
        return await result if inspect.isawaitable(result) else result

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):  # gone, or a line without end
            while line := await reader.readline():
                answer = await self.obey(line)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        writer.close()


async def ask(path: Path, do: str, *args: Any, **named: Any) -> Any:
    """Tell a running simulation to do something; its result. Raises GatewayError."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_MAX)
    except OSError as error:
        raise GatewayError(f"no simulation runs at {path}") from error
    try:
        writer.write(json.dumps({"do": do, "args": args, **named}).encode() + b"\n")
        answer = json.loads(await reader.readline() or b'{"ok": false, "error": "it ended"}')
    finally:
        writer.close()
    if not answer["ok"]:
        raise GatewayError(answer["error"])
    return answer["result"]


def _named(args: Iterable[Any], signature: inspect.Signature) -> tuple[list[Any], dict[str, Any]]:
    """Arguments typed as `name=value`, where the command has such a one, and the others."""
    plain: list[Any] = []
    named: dict[str, Any] = {}
    for arg in args:
        name, sign, value = arg.partition("=") if isinstance(arg, str) else ("", "", "")
        if sign and name in signature.parameters:
            named[name] = value
        else:
            plain.append(arg)
    return plain, named


def _known(kind: str, name: Any, names: Collection[str]) -> None:
    if not isinstance(name, str) or name not in names:
        near = get_close_matches(str(name), names, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(names)}"
        raise MalformedError(f"no {kind} {name!r}{hint}")


def _typed(command: Command, parameter: str, value: Any) -> Any:
    """A value typed in a terminal, as the type that the command declares."""
    declared = inspect.signature(command).parameters[parameter].annotation
    if not isinstance(value, str) or declared not in (int, float, bool):
        return value
    if declared is bool:
        return value.lower() in ("true", "yes", "1")
    return declared(value)


def _described(command: Command) -> dict[str, Any]:
    said = (inspect.getdoc(command) or "").partition("\n")[0]
    return {"parameters": list(inspect.signature(command).parameters), "means": said}
