"""A site folder becomes domain values, or everything that is wrong with it."""

import pytest
from houses import replace

from config.files import digest_of
from config.site import check_site, load_site
from gateway.domain.errors import ConfigError
from gateway.domain.now import SECOND_MS
from gateway.domain.points import PointRef, SetpointKind
from gateway.domain.site import Egress, Wiring
from gateway.uplink.settings import check as check_uplink


def test_a_right_site_becomes_domain_values(site, kinds):
    loaded = load_site(site, kinds)
    door = loaded.doors["door"]
    assert door.place == "room"
    assert door.points.strike == PointRef("board", "pulse_1")
    assert door.rules.egress is Egress.MECHANICAL
    assert loaded.places["room"].parent == "house"
    assert loaded.facilities["room"].doors == ("door",)
    assert loaded.equipment.links["wire"].binding == {"port": 1}
    assert loaded.equipment.devices["board"].binding == {"address": 1}
    spec = loaded.equipment.spec_of(PointRef("board", "pulse_1"))
    assert spec.setpoint.kind is SetpointKind.PULSE
    assert spec.setpoint.length_ms == 5000
    assert spec.binding == {"register": 1}
    button = loaded.safety.call_points["button"]
    assert button.wiring is Wiring.LATCHED
    assert button.supervision_ms == 180 * SECOND_MS


def test_all_problems_are_told_at_once_with_file_line_key_and_nearest_name(site, kinds):
    replace(site / "places.yaml", "board/pulse_1", "board/puls_1")
    replace(site / "places.yaml", "escalation: help", "escalation: halp")
    replace(site / "facilities/room.yaml", "booking:", "bookings:")
    with pytest.raises(ConfigError) as caught:
        load_site(site, kinds)
    assert [str(problem) for problem in caught.value.problems] == [
        "facilities/room.yaml:1: booking: missing, expected: whether it is used with a booking",
        "facilities/room.yaml:3: bookings: found 'bookings', expected a known key; "
        "the nearest is 'booking'",
        "places.yaml:9: room.doors.door.points.strike: found 'board/puls_1', expected a point of "
        "the profile plain_board; the nearest is 'board/pulse_1'",
        "places.yaml:16: room.call_points.button.escalation: found 'halp', expected the id of an "
        "escalation; the nearest is 'help'",
    ]


def test_overrides_are_merged_into_site_yaml_before_it_is_judged(site, kinds):
    overrides = {"links": {"wire": {"port": 5020, "host": "::1"}}}
    loaded = load_site(site, kinds, overrides=overrides)
    assert loaded.equipment.links["wire"].binding == {"port": 5020, "host": "::1"}


def test_the_digest_follows_content_alone(site):
    before = digest_of(site)
    (site / "site.yaml").touch()
    (site / "notes.txt").write_text("not part of the site")
    assert digest_of(site) == before
    replace(site / "site.yaml", "house", "home")
    assert digest_of(site) != before


def test_a_driver_s_own_problems_stand_where_the_key_stands(site, kinds):
    text = (site / "devices/board.yaml").read_text(encoding="utf-8")
    (site / "devices/second.yaml").write_text(text, encoding="utf-8")
    assert [str(one) for one in check_site(site, kinds)] == [
        "devices/second.yaml:5: address: also the address of board"
    ]


def test_relative_files_lie_in_the_site_s_folder(site, kinds):
    tls = {"ca": "ca.pem", "cert": "/etc/own.pem", "key": "/etc/own.key"}
    uplink = {"host": "platform", "tls": tls, "password_file": "secrets/uplink"}
    overrides = {"settings": {"uplink": uplink}, "links": {"wire": {"password_file": "w"}}}
    loaded = load_site(site, kinds, overrides=overrides)
    assert loaded.settings.uplink == {
        "host": "platform",
        "tls": {**tls, "ca": str(site / "ca.pem")},
        "password_file": str(site / "secrets/uplink"),
    }
    assert loaded.equipment.links["wire"].binding["password_file"] == str(site / "w")


def test_what_check_refuses_of_the_uplink_no_gateway_starts_with(site, kinds):
    overrides = {"settings": {"uplink": {"host": "platform"}}}
    with pytest.raises(ConfigError, match="expected tls"):
        load_site(site, kinds, overrides=overrides, sections={"uplink": check_uplink})
