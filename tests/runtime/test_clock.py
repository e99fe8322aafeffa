"""Wall time and how far it is believed (DESIGN §6)."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.clock import NOON_MS, Machine

from gateway.domain.events import ClockChanged
from gateway.domain.now import DAY_MS, HOUR_MS, MINUTE_MS, Basis, ClockStanding, Trust
from gateway.runtime.clock import LinuxTime, SystemClock, VouchedTime, system_time

SYNCHRONISED, HOLDOVER, UNTRUSTED = Trust.SYNCHRONISED, Trust.HOLDOVER, Trust.UNTRUSTED


def clock_of(machine: Machine, meta: dict[str, str] | None = None) -> SystemClock:
    clock = SystemClock("boot-1", machine)
    clock.remember(meta or {})
    return clock


def kept_by(machine: Machine) -> dict[str, str]:
    """What a gateway that ran synchronised on this machine left behind."""
    before = machine.synced
    machine.synced = True
    kept = SystemClock("boot-0", machine).keep()
    machine.synced = before
    assert kept is not None
    return kept


def test_a_synchronised_system_is_believed() -> None:
    now = clock_of(Machine(synced=True)).now()
    assert (now.wall_ms, now.mono_ms, now.trust, now.boot) == (
        NOON_MS,
        1_000,
        SYNCHRONISED,
        "boot-1",
    )


def test_holdover_lasts_until_the_error_may_be_five_minutes() -> None:
    """The kernel's own flag drops after hours; 100 ppm make five minutes in 34 days."""
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.synced = False
    machine.run(34 * DAY_MS)
    assert clock.poll() is None
    assert clock.now().trust is HOLDOVER
    machine.run(DAY_MS)
    assert clock.now().trust is UNTRUSTED
    assert clock.poll() == ClockChanged(0, "holdover", trusted_before=True)
    assert clock.poll() is None
    machine.synced = True
    assert clock.poll() == ClockChanged(0, "synchronised", trusted_before=False)


def test_a_step_is_seen_by_all_at_once_with_its_event() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.wall += 3_000
    assert clock.wall_ms() == clock.now().wall_ms == NOON_MS
    assert clock.poll() == ClockChanged(3_000, "synchronised", trusted_before=True)
    assert clock.wall_ms() == clock.now().wall_ms == NOON_MS + 3_000


def test_small_corrections_are_followed_without_an_event() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    for _ in range(10):
        machine.wall -= 400
        assert clock.poll() is None
    assert clock.wall_ms() == NOON_MS - 4_000
    machine.wall -= 501
    assert clock.poll() == ClockChanged(-501, "synchronised", trusted_before=True)


def test_a_trusted_step_back_opens_a_new_timeline() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.wall += HOUR_MS
    clock.poll()
    assert clock.now().timeline == 0
    machine.wall -= HOUR_MS
    clock.poll()
    assert clock.now().timeline == 1
    kept = clock.keep()
    assert kept is not None
    assert clock_of(machine, kept).now().timeline == 1


def test_a_machine_that_wakes_in_1970_goes_on_from_the_floor() -> None:
    """A holder with a booking today must still get in."""
    kept = kept_by(Machine())
    machine = Machine(wall=5_000, mono=5_000, boot="machine-2")
    clock = SystemClock("boot-2", machine)
    assert clock.remember(kept) == ClockChanged(NOON_MS - 5_000, "kept", trusted_before=False)
    machine.run(MINUTE_MS)
    now = clock.now()
    assert (now.wall_ms, now.trust) == (NOON_MS + MINUTE_MS, UNTRUSTED)
    assert clock.keep() is None  # an estimate is no floor
    machine.wall, machine.synced = NOON_MS + 2 * HOUR_MS, True
    assert clock.poll() == ClockChanged(2 * HOUR_MS - MINUTE_MS, "synchronised", False)
    assert clock.now().timeline == 0


def test_a_boot_in_2036_does_not_poison_the_years_until_then() -> None:
    kept = kept_by(Machine())
    wrong = Machine(wall=NOON_MS + 4_000 * DAY_MS, boot="machine-2")
    clock = clock_of(wrong, kept)
    assert (clock.now().wall_ms, clock.now().trust) == (NOON_MS, UNTRUSTED)


def test_even_a_wrong_trusted_source_yields_to_a_later_one() -> None:
    kept = kept_by(Machine(wall=NOON_MS + 4_000 * DAY_MS))
    machine = Machine(synced=True, boot="machine-2")
    clock = clock_of(machine, kept)
    assert (clock.now().wall_ms, clock.now().trust) == (NOON_MS, SYNCHRONISED)
    assert clock.now().timeline == 1  # earlier than what was trusted before
    again = clock.keep()
    assert again is not None
    assert int(again["clock_floor_ms"]) == NOON_MS


def test_time_a_little_ahead_of_the_floor_is_the_systems_own() -> None:
    """Some systems keep their last time in a file: nearer to the truth than ours."""
    kept = kept_by(Machine())
    clock = clock_of(Machine(wall=NOON_MS + HOUR_MS, boot="machine-2"), kept)
    assert (clock.now().wall_ms, clock.now().trust) == (NOON_MS + HOUR_MS, UNTRUSTED)


def test_holdover_goes_on_over_a_restart_of_the_process() -> None:
    machine = Machine()
    kept = kept_by(machine)
    machine.run(30 * DAY_MS)
    clock = SystemClock("boot-2", machine)
    assert clock.now().trust is UNTRUSTED
    assert clock.remember(kept) == ClockChanged(0, "kept", trusted_before=False)
    assert clock.now().trust is HOLDOVER
    machine.run(5 * DAY_MS)
    clock.poll()
    assert clock.now().trust is UNTRUSTED


def test_a_step_while_the_process_was_away_ends_holdover() -> None:
    machine = Machine()
    kept = kept_by(machine)
    machine.run(HOUR_MS).wall += 2_000
    assert clock_of(machine, kept).now().trust is UNTRUSTED


@pytest.mark.parametrize(
    ("away_ms", "rtc_off_ms", "trust"),
    [
        (HOUR_MS, 0, HOLDOVER),
        (HOUR_MS, -1_000, HOLDOVER),  # it counts whole seconds
        (34 * DAY_MS, 0, HOLDOVER),
        (35 * DAY_MS, 0, UNTRUSTED),
        (HOUR_MS, 60_000, UNTRUSTED),  # the system's time did not come from it
        (-HOUR_MS, 0, UNTRUSTED),  # its battery was changed
    ],
)
def test_a_hardware_clock_that_we_set_is_believed_after_a_power_cut(
    away_ms: int, rtc_off_ms: int, trust: Trust
) -> None:
    kept = kept_by(Machine(rtc=NOON_MS))
    woken = NOON_MS + away_ms
    machine = Machine(wall=woken, mono=9_000, rtc=woken + rtc_off_ms, boot="machine-2")
    assert clock_of(machine, kept).now().trust is trust


def test_another_machines_hardware_clock_is_not_believed() -> None:
    """The store drops what was true of the machine alone when it moves to another."""
    kept = {
        name: value
        for name, value in kept_by(Machine(rtc=NOON_MS)).items()
        if not name.startswith("machine_")
    }
    clock = clock_of(Machine(wall=NOON_MS + 5, rtc=NOON_MS + 5, boot="machine-2"), kept)
    assert (clock.wall_ms(), clock.now().trust) == (NOON_MS + 5, UNTRUSTED)


def test_a_hardware_clock_that_nobody_set_is_not_believed() -> None:
    kept = kept_by(Machine(rtc=None))
    assert clock_of(Machine(rtc=NOON_MS, boot="machine-2"), kept).now().trust is UNTRUSTED


def test_a_step_by_nobody_trusted_ends_holdover_at_its_second_sight() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.synced = False
    machine.wall += HOUR_MS
    assert clock.poll() is None
    assert (clock.wall_ms(), clock.now().trust) == (NOON_MS, HOLDOVER)
    assert clock.poll() == ClockChanged(HOUR_MS, "set by hand", trusted_before=True)
    assert (clock.wall_ms(), clock.now().trust) == (NOON_MS + HOUR_MS, UNTRUSTED)


def test_a_time_server_that_steps_first_and_vouches_a_moment_later_is_one_change() -> None:
    machine = Machine(wall=5_000)
    clock = clock_of(machine)
    machine.wall = NOON_MS
    assert clock.poll() is None
    machine.synced = True
    assert clock.poll() == ClockChanged(NOON_MS - 5_000, "synchronised", trusted_before=False)


def test_a_hand_that_sets_the_clock_before_the_floor_is_not_followed() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.synced = False
    machine.run(HOUR_MS).wall -= 3 * DAY_MS
    clock.poll()
    clock.poll()
    assert clock.now().trust is UNTRUSTED
    assert clock.wall_ms() >= NOON_MS


def test_meta_that_makes_no_sense_is_as_if_there_were_none() -> None:
    machine = Machine()
    kept = kept_by(machine)
    clock = SystemClock("b", machine)
    assert clock.remember({**kept, "clock_floor_ms": "soon"}) is None
    assert clock.now() == clock.now()._replace(wall_ms=NOON_MS, timeline=0)


async def test_a_watch_tells_changes_and_keeps_time_now_and_then() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    told: asyncio.Queue[ClockChanged] = asyncio.Queue()
    kept: list[object] = []
    task = asyncio.create_task(clock.watch(told.put_nowait, kept.append, every_s=0.01))
    await asyncio.sleep(0)
    assert len(kept) == 1
    machine.wall += 7_000
    assert await asyncio.wait_for(told.get(), 5) == ClockChanged(7_000, "synchronised", True)
    assert len(kept) == 2
    assert machine.rtc_reads == [1_000]  # a slow bus: once an hour
    task.cancel()


# --- why, and since when ------------------------------------------------------------------------


def stands(clock: SystemClock) -> tuple[Trust, Basis, int, bool]:
    found = clock.standing()
    return found.trust, found.basis, found.since_ms, found.at_start


def test_what_was_so_at_the_start_says_so_and_since_then() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.run(DAY_MS)
    clock.poll()
    assert stands(clock) == (SYNCHRONISED, Basis.KERNEL, NOON_MS, True)


def test_holdover_says_since_when_and_how_far_it_can_be_off() -> None:
    machine = Machine(synced=True)
    clock = clock_of(machine)
    machine.run(HOUR_MS).synced = False
    clock.poll()
    machine.run(DAY_MS)
    clock.poll()
    assert clock.standing() == ClockStanding(
        HOLDOVER,
        Basis.HELD,
        since_ms=NOON_MS + HOUR_MS,
        at_start=False,
        error_ms=(DAY_MS + HOUR_MS) // 10_000,
        synchronised_ms=NOON_MS,
    )
    machine.run(34 * DAY_MS)
    clock.poll()
    since_ms = NOON_MS + HOUR_MS + 35 * DAY_MS
    assert stands(clock) == (UNTRUSTED, Basis.WORN, since_ms, False)
    machine.synced = True
    clock.poll()
    assert stands(clock) == (SYNCHRONISED, Basis.KERNEL, since_ms, False)


def test_a_clock_kept_over_a_restart_still_knows_when_it_was_set() -> None:
    machine = Machine()
    kept = kept_by(machine)
    clock = SystemClock("boot-1", machine.run(DAY_MS))
    clock.remember(kept)
    assert stands(clock) == (HOLDOVER, Basis.HELD, NOON_MS + DAY_MS, True)
    assert clock.standing().synchronised_ms == NOON_MS


def test_a_clock_kept_by_hardware_over_a_power_cut_says_so() -> None:
    kept = kept_by(Machine(rtc=NOON_MS))
    woken = NOON_MS + HOUR_MS
    machine = Machine(wall=woken, mono=9_000, rtc=woken, boot="machine-2")
    assert stands(clock_of(machine, kept)) == (HOLDOVER, Basis.HARDWARE, woken, True)


def test_an_untrusted_clock_says_what_it_lacks_or_who_spoilt_it() -> None:
    machine = Machine()
    clock = clock_of(machine)
    assert stands(clock) == (UNTRUSTED, Basis.NOBODY, NOON_MS, True)
    assert clock.standing().error_ms is None
    machine.synced = True
    clock.poll()
    machine.synced = False
    machine.wall += HOUR_MS
    clock.poll()
    clock.poll()
    assert stands(clock) == (UNTRUSTED, Basis.STEPPED, NOON_MS + HOUR_MS, False)


def test_a_word_for_the_clock_is_named() -> None:
    assert stands(clock_of(Machine(synced=True, word=Basis.VOUCHED)))[1] is Basis.VOUCHED
    assert stands(clock_of(Machine(word=Basis.VOUCHED)))[1] is Basis.NOBODY


def test_a_clock_that_is_disowned_is_not_held_from_an_earlier_run_either() -> None:
    """DESIGN §6: `COMMONS_CLOCK=untrusted` never believes it."""
    machine = Machine()
    kept = kept_by(machine)
    clock = clock_of(Machine(word=Basis.DISOWNED).run(MINUTE_MS), kept)
    assert stands(clock)[:2] == (UNTRUSTED, Basis.DISOWNED)
    assert clock.now().wall_ms == NOON_MS + MINUTE_MS


# --- the system itself --------------------------------------------------------------------------


def test_the_systems_clocks_are_read_together() -> None:
    system = LinuxTime()
    mono, wall = system.clocks()
    assert abs(wall - time.time() * 1000) < 1_000
    assert 0 <= system.mono_ms() - mono < 1_000
    assert len(system.machine_boot()) == 36


def test_the_kernels_word_is_the_same_as_timedatectls() -> None:
    found = (
        subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            check=False,
        )
        if os.path.exists("/usr/bin/timedatectl")
        else None
    )
    if found is None or found.returncode:
        pytest.skip("no timedatectl with a system bus here")
    assert LinuxTime().synchronised() == (found.stdout.strip() == "yes")


def test_a_hardware_clock_counts_if_the_system_was_set_by_it(tmp_path: Path) -> None:
    system = LinuxTime(tmp_path)
    assert system.rtc_ms() is None
    (tmp_path / "since_epoch").write_text("1750000000\n")
    (tmp_path / "hctosys").write_text("0\n")
    assert system.rtc_ms() is None
    (tmp_path / "hctosys").write_text("1\n")
    assert system.rtc_ms() == NOON_MS


def test_the_environment_may_vouch_for_the_clock_or_disown_it() -> None:
    assert isinstance(system_time({}), LinuxTime)
    assert not isinstance(system_time({}), VouchedTime)
    vouched = system_time({"COMMONS_CLOCK": "synchronised"})
    assert isinstance(vouched, VouchedTime)
    assert vouched.synchronised()
    assert not system_time({"COMMONS_CLOCK": "untrusted"}).synchronised()
    with pytest.raises(ValueError, match="COMMONS_CLOCK=yes: expected synchronised, untrusted, or"):
        system_time({"COMMONS_CLOCK": "yes"})


def test_a_file_may_vouch_for_the_clock_and_is_read_at_each_look(tmp_path: Path) -> None:
    said = tmp_path / "trust"
    source = system_time({"COMMONS_CLOCK": str(said)})
    assert not source.synchronised()
    for word, trusted in (("synchronised\n", True), ("untrusted", False), ("sync", False)):
        said.write_text(word)
        assert source.synchronised() is trusted


def test_an_untrusted_process_says_so() -> None:
    program = "from gateway.runtime.clock import SystemClock; print(SystemClock('b').now().trust)"
    for word, trust in (("untrusted", "untrusted"), ("synchronised", "synchronised")):
        said = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "COMMONS_CLOCK": word},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.strip() == trust
