"""The demo site and the shipped profiles are sound, and show what the gateway can do."""

from houses import HERE

from config.profiles import SHIPPED, load_profiles
from config.site import check_site, load_site
from drivers.registry import kinds
from gateway.domain.points import PointRef
from gateway.domain.site import BookingPolicy, DoorMode, FireRole, Wiring
from gateway.uplink.settings import check as check_uplink

DEMO = HERE.parent.parent / "config" / "sites" / "demo"
GARAGE = HERE.parent / "simulation" / "garage"


def test_the_demo_site_is_sound_without_a_doubt():
    assert check_site(DEMO, kinds(), sections={"uplink": check_uplink}) == []


def test_every_shipped_profile_is_sound_and_says_where_it_comes_from():
    profiles = load_profiles(kinds())
    assert set(profiles) == {path.stem for path in SHIPPED.glob("*.yaml")}
    assert all(profile.source for profile in profiles.values())


def test_the_demo_site_has_one_of_each():
    site = load_site(DEMO, kinds())
    assert {link.driver for link in site.equipment.links.values()} == {
        *("modbus_tcp", "modbus_rtu", "mqtt")
    }
    assert {door.rules.mode for door in site.doors.values()} == set(DoorMode)
    assert {door.rules.fire for door in site.doors.values()} == set(FireRole)
    assert {one.booking for one in site.facilities.values()} == set(BookingPolicy)
    wirings = {one.wiring for one in site.safety.call_points.values()}
    assert wirings == {Wiring.LATCHED, Wiring.MESSAGE}
    assert any(door.points.lock for door in site.doors.values())
    used = {device.profile for device in site.equipment.devices.values()}
    shipped = load_profiles(kinds())
    chargers = {one.id for one in shipped.values() if "failsafe" in one.traits}
    spare = {"z2m_siren", "isma_panel", "eastron_sdm630"}
    assert set(shipped) - used - chargers <= spare


def test_its_links_lead_where_a_demo_wants_them():
    over = {"links": {"bus": {"port": "/dev/pts/9"}, "relays": {"port": 41_000}}}
    links = load_site(DEMO, kinds(), overrides=over).equipment.links
    assert links["bus"].binding == {"port": "/dev/pts/9", "baudrate": 9_600}
    assert links["relays"].binding == {"host": "127.0.0.1", "port": 41_000}


def test_the_demo_broker_serves_the_demo_alone():
    over = {"links": {"radio": {"broker": "amqtt", "demo": True}}}
    assert load_site(DEMO, kinds(), demo=True, overrides=over).id == "harmony-court"


def test_what_a_charger_does_in_silence_is_read_from_its_profile():
    """C6: written where it has such registers, as the site and its profile say."""
    site = load_site(GARAGE, kinds())
    keba, charx = (site.facilities[one].outlet for one in ("bay_keba", "bay_charx_1"))
    rack = site.facilities["rack_2"].outlet
    assert keba.points.failsafe_current == PointRef("keba", "failsafe_current")
    assert keba.points.failsafe_timeout == PointRef("keba", "failsafe_timeout")
    assert (keba.load.failsafe_ma, keba.load.failsafe_after_s) == (0, 30)
    assert (charx.points.failsafe_current, charx.points.failsafe_timeout) == (None, None)
    assert rack.points.failsafe_timeout == PointRef("station", "failsafe_timeout")


def test_an_alfen_s_safe_current_is_its_installer_s():
    outlet = load_site(GARAGE, kinds()).facilities["bay_alfen"].outlet
    assert outlet.points.failsafe_current is None  # it can only be read
