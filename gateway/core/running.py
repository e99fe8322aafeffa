"""The gateway itself: it starts, stops, gets another clock or another site (DESIGN §5, §6)."""

from dataclasses import replace

from gateway.core import (
    charging,
    commands,
    doors,
    emergency,
    grace,
    occupancy,
    overlaps,
    supervision,
    timekeeping,
    utilization,
)
from gateway.core.draft import Draft
from gateway.core.durations import carried
from gateway.domain.calls import CallPointStatus
from gateway.domain.events import ClockChanged, SiteChanged, Started, Stopping
from gateway.domain.now import Elapsed
from gateway.domain.records import Fact


def started(draft: Draft, event: Started) -> None:
    """The gateway started: durations go on, calls sound again, nothing is moved (E3, A4)."""
    for entity in list(draft.state.entities()):
        draft.put(carried(entity, draft.now))
    draft.record(
        Fact.STARTED,
        version=event.version,
        boot=draft.now.boot,
        site_digest=event.site_digest or None,
    )
    for id_ in draft.site.safety.call_points:
        status = draft.get(CallPointStatus, id_) or CallPointStatus(id_)
        draft.put(replace(status, watched=Elapsed.started(draft.now)))
    timekeeping.started(draft, event)
    supervision.forget_gone(draft)
    grace.nothing_seen(draft)
    doors.restarted(draft)
    occupancy.restarted(draft)
    emergency.restarted(draft)
    commands.restarted(draft)
    charging.restarted(draft, event.away_ms)
    utilization.started(draft, event.away_ms)


def stopping(draft: Draft, event: Stopping) -> None:
    """The gateway is being stopped on purpose."""
    draft.record(Fact.STOPPED, cause=event.why)


def clock_changed(draft: Draft, event: ClockChanged) -> None:
    """The wall clock was stepped, or its trust changed. Only the present is judged by it."""
    timekeeping.changed(draft, event)
    utilization.clock_changed(draft, event)


def site_changed(draft: Draft, event: SiteChanged) -> None:
    """The site files were reloaded: what stands is judged by the new ones."""
    draft.record(Fact.SITE_CHANGED, digest=event.digest, links=list(event.links_changed) or None)
    supervision.forget_gone(draft)
    for facility in draft.site.facilities:
        overlaps.resolve(draft, facility)
    utilization.look_at_all(draft)
