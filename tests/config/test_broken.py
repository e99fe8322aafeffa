"""Broken sites and exactly what is said of them: file, line, key, found, expected, nearest."""

import os
from pathlib import Path

import pytest
from houses import BASE, BROKEN, lay

from config.site import check_site, load_site
from drivers.registry import kinds
from gateway.domain.errors import ConfigError


@pytest.mark.parametrize("broken", BROKEN, ids=lambda path: path.name)
def test_a_broken_site_is_told_exactly(broken: Path, tmp_path: Path) -> None:
    said = [str(problem) + "\n" for problem in check_site(lay(broken, tmp_path), kinds())]
    expected = broken / "expected.txt"
    if os.environ.get("WRITE_GOLDEN"):
        expected.write_text("".join(said), encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda path: path.name)
def test_a_broken_site_does_not_start_unless_it_is_only_doubtful(
    broken: Path, tmp_path: Path
) -> None:
    folder = lay(broken, tmp_path)
    errors = [problem for problem in check_site(folder, kinds()) if not problem.warning]
    if not errors:
        assert load_site(folder, kinds()).id == "house"
        return
    with pytest.raises(ConfigError) as caught:
        load_site(folder, kinds())
    assert list(caught.value.problems) == errors


def test_the_base_site_of_them_all_is_right() -> None:
    assert check_site(BASE, kinds()) == []
