"""Edits of a site by tools: judged first, atomic, and what people wrote stays."""

import threading
from pathlib import Path

import pytest
from houses import SITE, PlainKind, replace

from config.edit import edit, remove, remove_key, set_key
from config.files import digest_of
from config.site import load_site
from gateway.domain.errors import ConfigError

KINDS = {"plain": PlainKind()}
RELEASE = ("room", "doors", "door", "rules", "release_s")


def text_of(site: Path, file: str = "places.yaml") -> str:
    return (site / file).read_text(encoding="utf-8")


def test_an_edit_changes_one_value_and_keeps_comments_order_and_quotes(site):
    replace(site / "places.yaml", "  name: {zh: 房间", "  # the room\n  name: {zh: '房间'")
    before = text_of(site)
    done = edit(site, "places.yaml", set_key(RELEASE, 3), KINDS)
    assert text_of(site) == before.replace("release_s: 5", "release_s: 3")
    assert done.digest == digest_of(site)
    assert done.warnings == ()
    assert load_site(site, KINDS).doors["door"].rules.release_ms == 3_000


def test_an_edit_that_would_not_load_is_refused_with_exact_problems_and_writes_nothing(site):
    before = {path: path.read_bytes() for path in site.rglob("*.yaml")}
    with pytest.raises(ConfigError) as caught:
        edit(site, "places.yaml", set_key(RELEASE, 9), KINDS)
    assert str(caught.value).startswith(
        "places.yaml:10: room.doors.door.rules.release_s: found 9 s"
    )
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_a_device_is_added_and_removed(site):
    def spare(data):
        data.update(
            {"profile": "plain_board", "link": "wire", "place": "room", "address": 2}
            | {"name": {"zh": "备用", "en": "Spare"}}
        )

    edit(site, "devices/spare.yaml", spare, KINDS)
    assert load_site(site, KINDS).equipment.devices["spare"].name.zh == "备用"
    remove(site, "devices/spare.yaml", KINDS)
    assert set(load_site(site, KINDS).equipment.devices) == {"board"}


def test_a_device_in_use_is_not_removed(site):
    with pytest.raises(ConfigError) as caught:
        remove(site, "devices/board.yaml", KINDS)
    assert "expected a point of a known device" in str(caught.value)
    assert text_of(site, "devices/board.yaml") == SITE["devices/board.yaml"]


def test_who_looked_at_another_version_is_refused(site):
    seen = digest_of(site)
    edit(site, "places.yaml", set_key(RELEASE, 3), KINDS, seen=seen)
    with pytest.raises(ConfigError, match="edited meanwhile"):
        edit(site, "places.yaml", set_key(RELEASE, 4), KINDS, seen=seen)


@pytest.mark.parametrize(
    "file", ["../other.yaml", "devices/../site.yaml", "notes.txt", "devices/A.yaml", "site.yaml\n"]
)
def test_only_files_of_a_site_are_edited(site, file):
    with pytest.raises(ConfigError, match="no file of a site"):
        edit(site, file, set_key(("id",), "x"), KINDS)


def test_a_change_that_does_not_fit_the_file_is_refused(site):
    with pytest.raises(ConfigError, match="does not fit the file"):
        edit(site, "places.yaml", remove_key(("room", "door")), KINDS)
    with pytest.raises(ConfigError, match="there is no such file"):
        remove(site, "devices/spare.yaml", KINDS)


def test_a_file_that_cannot_be_put_in_its_place_leaves_the_old_one(site, monkeypatch):
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        edit(site, "places.yaml", set_key(RELEASE, 3), KINDS)
    assert text_of(site) == SITE["places.yaml"]
    assert sorted(path.name for path in site.iterdir()) == sorted(
        {name.partition("/")[0] for name in SITE}
    )


def test_edits_at_one_time_all_hold(site):
    def add(number: int) -> None:
        data = {"profile": "plain_board", "link": "wire", "place": "room", "address": number}
        data["name"] = {"zh": "板", "en": "Board"}
        edit(site, f"devices/b{number}.yaml", lambda empty: empty.update(data), KINDS)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_site(site, KINDS).equipment.devices) == 5


def test_an_edited_file_keeps_its_mode(site):
    (site / "places.yaml").chmod(0o640)
    edit(site, "places.yaml", set_key(RELEASE, 3), KINDS)
    assert (site / "places.yaml").stat().st_mode & 0o777 == 0o640
