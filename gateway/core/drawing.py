"""What the power that a vehicle draws says, where no state can be read (RULES C8, FACTS §3).

- Nothing drawn in five minutes: nobody plugged in.
- Near zero for half a minute and then a rise is another vehicle, which was not authorised; near
  zero for long is one that has gone.
- A single sample is neither: power after none counts once it is read again.
- A battery is full once it takes next to nothing; it may go on so for a while (float).
"""

from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.domain.charging import ChargingSession, Draw, Outlet, StopReason
from gateway.domain.now import Elapsed


def noted(draft: Draft, outlet: Outlet, session: ChargingSession) -> ChargingSession:
    """The session with what its power shows now."""
    drawn = outlets.watts(draft, outlet)
    if outlet.points.state is not None or drawn is None:
        return session
    if _is_swap(draft, outlet, session.draw, drawn):
        return session  # `judge` ends it for that
    after = _after(draft, outlet, session.draw, drawn)
    if after != session.draw:
        session = replace(session, draw=after)
        draft.put(session)
    return session


def _after(draft: Draft, outlet: Outlet, before: Draw, drawn: float) -> Draw:
    signs = outlet.rules.signs
    rises = drawn >= signs.full_below_w
    drew = before.loaded and before.near_zero is None
    if rises and not drew and not _is_believed(draft, outlet, before):
        return replace(before, rise=before.rise or Elapsed.started(draft.now))
    loaded = before.loaded or rises
    full = before.full if drawn < signs.judged_below_w else None
    return Draw(
        loaded=loaded,
        near_zero=outlets.since(draft, before.near_zero, drawn < signs.unplugged_below_w),
        full=full or outlets.since(draft, None, loaded and not rises),
    )


def _is_believed(draft: Draft, outlet: Outlet, draw: Draw) -> bool:
    """Power after none was read twice: one sample may be the meter chip's own."""
    power = outlet.points.power
    return power is not None and outlets.read_since(draft, power, draw.rise)


def judge(draft: Draft, outlet: Outlet, session: ChargingSession) -> StopReason | None:
    """Why what is drawn ends the session, if it does."""
    drawn = outlets.watts(draft, outlet)
    lasted = session.progress.lasted
    if outlet.points.state is not None or drawn is None or lasted is None:
        return None
    draw, rules = session.draw, outlet.rules
    if not draw.loaded:
        late = lasted.at(draft.now) >= rules.plug_within_ms
        return StopReason.TIMEOUT if late else None
    if _is_swap(draft, outlet, draw, drawn):
        return StopReason.EV_DISCONNECTED
    if _lasted_ms(draft, draw.near_zero) >= rules.signs.gone_after_ms:
        return StopReason.EV_DISCONNECTED
    full = _lasted_ms(draft, draw.full) >= rules.signs.float_ms
    return StopReason.STOPPED_BY_EV if full and draw.full is not None else None


def due_in_ms(draft: Draft, outlet: Outlet, session: ChargingSession) -> int | None:
    """How long until what is drawn may end the session, if it stays so."""
    lasted, draw, rules = session.progress.lasted, session.draw, outlet.rules
    if outlet.points.state is not None or outlets.watts(draft, outlet) is None or lasted is None:
        return None
    waits = [] if draw.loaded else [rules.plug_within_ms - lasted.at(draft.now)]
    for since, lasts_ms in (
        (draw.rise, outlets.ASKED_AFTER_MS),
        (draw.near_zero, rules.signs.gone_after_ms),
        (draw.full, rules.signs.float_ms),
    ):
        waits += [lasts_ms - since.at(draft.now)] if since is not None else []
    return min(waits, default=None)


def _is_swap(draft: Draft, outlet: Outlet, draw: Draw, drawn: float) -> bool:
    signs = outlet.rules.signs
    rises = drawn >= signs.full_below_w and _is_believed(draft, outlet, draw)
    return draw.loaded and rises and _lasted_ms(draft, draw.near_zero) >= signs.swap_after_ms


def _lasted_ms(draft: Draft, since: Elapsed | None) -> int:
    return since.at(draft.now) if since is not None else -1
