"""One process at a time holds a data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import StoreError
from gateway.store.folder import DataFolder, FolderInUse, machine_id

HOLD = """
import sys
from pathlib import Path
from gateway.store.folder import DataFolder
DataFolder(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    folder = DataFolder(tmp_path)
    with pytest.raises(FolderInUse, match=f"process {other.pid}"):
        folder.hold()
    other.kill()
    other.communicate()
    folder.hold()  # a killed process leaves no lock behind
    folder.release()


def test_a_folder_is_free_again_when_released(tmp_path: Path) -> None:
    one, two = DataFolder(tmp_path / "new"), DataFolder(tmp_path / "new")
    with one.held(), pytest.raises(FolderInUse, match="stop it"):
        two.hold()
    with two.held():
        pass


def test_a_folder_that_cannot_be_had_is_another_error(tmp_path: Path) -> None:
    """RULES X1: the gateway runs on without a disk, but never beside another gateway."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError) as caught:
        DataFolder(file / "data").hold()
    assert not isinstance(caught.value, FolderInUse)


def test_a_machine_without_an_id_has_none(tmp_path: Path) -> None:
    assert machine_id(tmp_path / "none") == ""
    (tmp_path / "id").write_text("abc\n")
    assert machine_id(tmp_path / "id") == "abc"
