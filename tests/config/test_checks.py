"""What a technician is told beyond the broken sites: the rules that `check` names, one by one."""

from pathlib import Path

import pytest
from houses import SITE, PlainKind, replace

from config.checks.access import yearly_odds
from config.figures import SettingsFile
from config.hours import parse_hours
from config.problems import lasting
from config.site import check_site, load_site
from gateway.domain.errors import ConfigError, Problem
from gateway.domain.site import AccessSettings, BookingSettings, EmergencySettings
from gateway.uplink.settings import check as check_uplink


def said(site: Path) -> list[str]:
    return [str(problem) for problem in check_site(site, {"plain": PlainKind()})]


def only(site: Path) -> str:
    (one,) = said(site)
    return one


def test_the_house_itself_is_right(site):
    assert said(site) == []


def test_e6_a_call_releases_no_door_of_another_place(site):
    replace(site / "places.yaml", "house:\n", "cellar:\n  name: {zh: 地下室, en: Cellar}\nhouse:\n")
    text = SITE["places.yaml"].partition("  call_points:")[2].replace("button:", "bell:")
    text = text.replace("signal_2]", "signal_2], releases: [door]")
    replace(site / "places.yaml", "Cellar}\n", f"Cellar}}\n  parent: house\n  call_points:{text}")
    assert only(site) == (
        "places.yaml:10: cellar.call_points.bell.outputs.releases[0]: found 'door', the door of "
        "room; expected a door of the place the call point is in (cellar) (rule E6)"
    )


def test_e6_a_call_may_release_the_door_it_is_behind(site):
    replace(site / "places.yaml", "signal_2]", "signal_2], releases: [door]")
    assert said(site) == []


def test_e6_a_wearable_releases_no_door(site):
    replace(site / "places.yaml", "signal_2]", "signal_2], releases: [door]")
    replace(site / "places.yaml", "wiring: latched", "wiring: wearable")
    assert any(
        "releases: found doors, expected none: a wearable may be anywhere (rule E6)" in one
        for one in said(site)
    )


def test_one_serial_port_serves_one_link(site):
    other = "port: /dev/null}\n  wire2: {driver: plain, port: /dev/../dev/null}"
    replace(site / "site.yaml", "port: 1}", other)
    assert any(
        "links.wire2.port: found '/dev/../dev/null', which is the serial port of the link 'wire' "
        "already; expected one link a port" in one
        for one in said(site)
    )


def test_e1_a_momentary_button_states_its_shortest_press(site):
    replace(site / "places.yaml", "wiring: latched", "wiring: momentary")
    assert "shortest_press_ms: missing" in only(site)
    replace(site / "places.yaml", "momentary", "momentary\n      shortest_press_ms: 400")
    assert said(site) == []


def test_e1_what_a_silent_device_costs_the_bus_counts_to_the_worst_age(site):
    replace(
        site / "places.yaml", "wiring: latched", "wiring: momentary\n      shortest_press_ms: 400"
    )
    text = SITE["devices/board.yaml"].replace("address: 1", "address: 2\ntimeout_ms: 800")
    (site / "devices/other.yaml").write_text(text, encoding="utf-8")
    assert "expected at least 2 s, twice the worst poll age of 1 s (rule E1)" in only(site)


def test_e4_the_platform_is_no_offline_step(site):
    replace(site / "site.yaml", "{kind: output}", "{kind: platform, offline: true}")
    assert only(site).startswith("site.yaml:6: channels.sounder.offline: found true")


@pytest.mark.parametrize(
    ("kind", "missing"), [("webhook", ["secret_file", "url"]), ("mqtt", ["link", "topic"])]
)
def test_a_channel_says_how_it_is_reached(site, kind, missing):
    replace(site / "site.yaml", "{kind: output}", f"{{kind: {kind}, offline: true}}")
    assert said(site) == [
        f"site.yaml:6: channels.sounder.{name}: missing, expected: the {name} of a channel of "
        f"kind {kind}"
        for name in missing
    ]


def test_e8_a_site_with_call_points_wants_a_lamp_that_says_it_is_in_service(site):
    replace(site / "site.yaml", "heartbeat: [board/signal_3]\n", "")
    assert "warning" in only(site)
    assert "(rule E8)" in only(site)
    assert load_site(site, {"plain": PlainKind()}).equipment.heartbeat == ()


def test_c2_safety_points_are_read_often_enough(site):
    replace(site / "site.yaml", "heartbeat:", "settings: {poll_ms: {safety: 500}}\nheartbeat:")
    assert only(site).endswith("safety: found 500 ms, expected 1 to 300 ms (rule C2)")


def test_a3_a_door_that_fire_releases_is_listed_by_a_zone(site):
    replace(site / "places.yaml", "release_s: 5", "release_s: 5, fire: releases")
    assert "no fire zone lists this door" in only(site)


def test_a5_a_reader_serves_one_door(site):
    replace(
        site / "profiles/plain_board.yaml",
        "points:\n",
        "points:\n  card: {value: text, edge: credential, register: 9}\n",
    )
    replace(site / "places.yaml", "input_1}", "input_1, readers: [board/card, board/card]}")
    replace(site / "site.yaml", "heartbeat:", "settings: {pins: {digits: 9}}\nheartbeat:")
    assert "which is the reader of the door 'door' already" in only(site)


def test_a5_the_odds_follow_from_length_number_and_budget():
    def odds(**given: object) -> float:
        return yearly_odds(SettingsFile.model_validate(given))

    # 20 tries an hour, all year, at one in a million: 175,200 tries.
    assert odds(pins={"digits": 6, "valid_max": 1}) == pytest.approx(0.1607, abs=1e-4)
    assert odds(pins={"digits": 8, "valid_max": 4}) == pytest.approx(0.00698, abs=1e-5)
    fewer = odds(pins={"digits": 6, "valid_max": 1}, access={"tamper_failures_per_hour": 1})
    assert fewer == pytest.approx(0.00872, abs=1e-5)
    slower = odds(pins={"digits": 6, "valid_max": 1}, access={"slow_max_h": 1})
    assert slower == fewer


def test_a_profile_of_the_site_s_own_is_judged_too(site):
    replace(site / "profiles/plain_board.yaml", "id: plain_board", "id: plane_board")
    replace(site / "profiles/plain_board.yaml", "register: 4}", "length_s: 2}")
    assert said(site) == [
        "profiles/plain_board.yaml:1: id: found 'plane_board', expected 'plain_board', as the "
        "file is named",
        "profiles/plain_board.yaml:10: points.input_1.length_s: found on a point that is only "
        "read, expected beside setpoint",
        "profiles/plain_board.yaml:10: points.input_1.register: is missing; expected a register",
    ]


def test_a_device_is_on_a_link_of_its_profile_s_driver(site):
    kinds = {"plain": PlainKind(), "other": PlainKind()}
    replace(site / "site.yaml", "driver: plain", "driver: other")
    (problem,) = check_site(site, kinds)
    assert str(problem) == (
        "devices/board.yaml:1: profile: found a profile for plain, expected one for other, as the "
        "link wire is"
    )


def test_a_file_that_is_no_yaml_makes_nothing_else_unknown(site):
    (site / "places.yaml").write_text("house: [", encoding="utf-8")
    (problem,) = check_site(site, {"plain": PlainKind()})
    assert problem.file == "places.yaml"
    assert "not valid YAML" in problem.message


def test_files_that_are_missing_misnamed_or_no_text_are_told(site):
    (site / "places.yaml").unlink()
    (site / "devices/board.yaml").rename(site / "devices/board.yml")
    (site / "facilities/room.yaml").write_bytes(b"place: \xff\n")
    told = {problem.file: problem.message for problem in check_site(site, {"plain": PlainKind()})}
    assert told["places.yaml"] == "the file is missing; every site has one"
    assert told["devices/board.yml"] == "found the name board.yml, expected board.yaml"
    assert told["facilities/room.yaml"] == "not UTF-8 text: byte 7 of the file"
    with pytest.raises(ConfigError):
        load_site(site, {"plain": PlainKind()})


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert said(tmp_path / "nowhere") == [
        "places.yaml: the file is missing; every site has one",
        "site.yaml: the file is missing; every site has one",
    ]


def test_hours_are_read_as_people_write_them():
    assert parse_hours(["mon-tue 08:00-22:00"]).spans == ((0, 480, 1320), (1, 480, 1320))
    assert parse_hours(["fri 22:00-02:00"]).spans == ((4, 1320, 1560),)
    assert parse_hours(["sat-mon 00:00-24:00"]).spans == ((0, 0, 1440), (5, 0, 1440), (6, 0, 1440))


def test_a_date_has_hours_of_its_own():
    """U3"""
    found = parse_hours(
        ["mon-fri 08:00-22:00", "2026-12-30..2027-01-01 closed", "2026-12-31 20:00-02:00"]
    )
    assert len(found.spans) == 5
    assert found.exceptions == (
        ("2026-12-30", ()),
        ("2026-12-31", ((1200, 1560),)),
        ("2027-01-01", ()),
    )


@pytest.mark.parametrize(
    "span",
    [
        *("", "mon", "monday 08:00-09:00", "mon 8-9", "mon 25:00-26:00", "mon closed"),
        *("2026-12-25", "2026-02-30 closed", "2026-12-31..2026-12-25 closed"),
        *("2026-01-01..2028-01-01 closed", "2026-12-25 08:00-25:00"),
    ],
)
def test_hours_that_make_no_sense_are_refused(span):
    with pytest.raises(ValueError, match="expected"):
        parse_hours([span])


def test_a_duration_is_given_once_in_any_unit(site):
    replace(site / "places.yaml", "release_s: 5", "release_s: 5, release_ms: 5000")
    assert "found release_ms and release_s, expected one of them" in only(site)
    replace(site / "places.yaml", "release_s: 5, release_ms: 5000", "release_s: 2.5")
    assert load_site(site, {"plain": PlainKind()}).doors["door"].rules.release_ms == 2_500


def test_a_duration_is_shown_in_the_largest_whole_unit():
    shown = [lasting(ms) for ms in (0, 1, 1_500, 60_000, 90_000, 7_200_000, 172_800_000)]
    assert shown == ["0 ms", "1 ms", "1500 ms", "1 min", "90 s", "2 h", "2 days"]


def test_the_figures_of_the_rules_have_the_domain_s_defaults_and_can_be_changed(site):
    settings = load_site(site, {"plain": PlainKind()}).settings
    assert settings.access == AccessSettings()
    assert settings.booking == BookingSettings()
    assert settings.emergency == EmergencySettings()
    replace(
        site / "site.yaml", "heartbeat:", "settings: {booking: {no_show_grace_min: 5}}\nheartbeat:"
    )
    changed = load_site(site, {"plain": PlainKind()}).settings.booking
    assert changed == BookingSettings(no_show_grace_ms=300_000)


def test_settings_of_another_room_are_judged_by_it_and_told_where_they_stand(site):
    replace(site / "site.yaml", "heartbeat:", "settings:\n  uplink: {host: 192.0.2.1}\nheartbeat:")
    problems = check_site(site, {"plain": PlainKind()}, sections={"uplink": check_uplink})
    assert [str(problem) for problem in problems] == [
        "site.yaml:12: settings.uplink.tls: PINs would cross the network in clear; expected tls: "
        "{ca, cert, key} (rule B3)"
    ]


def test_e5_supervision_follows_from_the_interval_in_which_a_button_reports(site):
    text = SITE["profiles/plain_board.yaml"].replace("plain_board", "radio_button")
    text = text.replace("source:", "device: {expected_s: 3600}\nsource:")
    text = text.replace("input_2: {value: bool", "input_2: {value: bool, edge: press")
    (site / "profiles/radio_button.yaml").write_text(text, encoding="utf-8")
    device = SITE["devices/board.yaml"].replace("plain_board", "radio_button")
    device = device.replace("address: 1", "address: 2")
    (site / "devices/radio.yaml").write_text(device, encoding="utf-8")
    replace(site / "places.yaml", "point: board/input_2", "point: radio/input_2")
    replace(site / "places.yaml", "wiring: latched", "wiring: message")
    assert said(site) == []
    button = load_site(site, {"plain": PlainKind()}).safety.call_points["button"]
    assert button.supervision_ms == 7_920_000


class Doubting(PlainKind):
    def check_profile(self, profile):
        return [Problem("", "points.input_1.register", "is it so?", warning=True)]


class Failing(PlainKind):
    def check_profile(self, profile):
        raise KeyError("register")

    def check_link(self, link, devices, profiles):
        raise ValueError("no such thing")


def test_a_doubt_about_a_profile_does_not_stop_the_site(site):
    kinds = {"plain": Doubting()}
    assert [str(problem) for problem in check_site(site, kinds)] == [
        "profiles/plain_board.yaml:10: points.input_1.register: warning: is it so?"
    ]
    assert "plain_board" in load_site(site, kinds).equipment.profiles


def test_a_bug_in_a_third_party_s_check_is_told_and_not_raised(site):
    assert [str(problem) for problem in check_site(site, {"plain": Failing()})] == [
        "profiles/plain_board.yaml:3: driver: the driver plain failed to judge it, by a bug in it: "
        "KeyError: 'register'",
        "site.yaml:4: links.wire: the driver plain failed to judge it, by a bug in it: "
        "ValueError: no such thing",
    ]


def test_what_is_missing_or_unknown_deep_in_a_file_is_told_with_what_it_means(site):
    replace(site / "profiles/plain_board.yaml", "input_1: {value: bool, ", "input_1: {")
    replace(site / "site.yaml", "after_s: 0, channels", "after_s: 0, chanels")
    assert said(site) == [
        "profiles/plain_board.yaml:10: points.input_1.value: missing, expected: the type of its "
        "value",
        "site.yaml:10: escalations.help.steps[0].chanels: found 'chanels', expected a known key; "
        "the nearest is 'channels'",
        "site.yaml:10: escalations.help.steps[0].channels: missing, expected: the channels that "
        "are told",
    ]


OUTLET = """place: house
name: {zh: 车位, en: Bay}
booking: none
tariff: nigth
outlet:
  points: {limit: board/input_2}
  circuit: feeder
  max_a: 16
  min_a: 3
  hours: ["mon-sun 25:00-06:00"]
"""


def test_c4_c8_a_bay_with_an_invalid_minimum_hours_and_tariff(site):
    """RULES C4: a limit between 0 and 6 A is none that a charger may be given."""
    replace(
        site / "site.yaml",
        "heartbeat:",
        "circuits:\n  feeder: {place: house, limit_a: [32, 32, 32]}\n"
        'tariffs:\n  night: {otherwise: normal, classes: {night: ["mon 22:00-06:00"]}}\nheartbeat:',
    )
    (site / "facilities/bay.yaml").write_text(OUTLET, encoding="utf-8")
    assert any("outlet.hours" in one and "25:00" in one for one in said(site))
    (site / "facilities/bay.yaml").write_text(OUTLET.replace("25:00", "22:00"), encoding="utf-8")
    found = "\n".join(said(site))
    assert "tariff: found 'nigth', expected the id of a tariff; the nearest is 'night'" in found
    assert "outlet.min_a: found 3 A, expected at least 6 A (IEC 61851) (rule C4)" in found
