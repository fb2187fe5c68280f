"""The scratch folder keeps copies of remote files, within a bound, and never removes what is in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.storage import scratch
from data_prep.storage.errors import ConfigError, StorageError
from data_prep.storage.scratch import DEFAULT_BYTES, require_room, scratch_bytes, scratch_folder, use

HOLD = "import sys, pathlib, time; from data_prep.storage.scratch import use; use(pathlib.Path(sys.argv[1])); "
HOLD += "print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scratch folder for 1000 bytes."""
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("MASKX_SCRATCH_BYTES", "1000")
    return scratch_folder()


def keep(folder: Path) -> Path:
    """400 bytes that another process has used, and uses no more."""
    use(folder)
    scratch._in_use.pop(folder).close()
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(bytes(400))
    return folder


def test_what_was_used_longest_ago_goes_first(folder: Path) -> None:
    kept = [keep(folder / path) for path in ("copies/a", "unpacked/b", "copies/c")]
    require_room("d", 100)
    assert [path.exists() for path in kept] == [False, True, True]
    use(kept[1])
    scratch._in_use.pop(kept[1]).close()
    require_room("d", 400)
    assert [path.exists() for path in kept] == [False, True, False]


def test_what_this_process_or_another_uses_stays(folder: Path) -> None:
    kept = [keep(folder / path) for path in ("copies/a", "copies/b", "copies/c")]
    use(kept[0])
    command = [sys.executable, "-c", HOLD, str(kept[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        require_room("d", 900)
        assert [path.exists() for path in kept] == [True, True, False]
        other.communicate("")
    require_room("d", 900)
    assert [path.exists() for path in kept] == [True, False, False]
    scratch._in_use.pop(kept[0]).close()


def test_what_cannot_fit_removes_nothing(folder: Path) -> None:
    kept = keep(folder / "copies/a")
    with pytest.raises(StorageError, match=r"d: needs \d+ bytes below .*MASKX_SCRATCH"):
        require_room("d", 2**60)
    assert kept.exists()


def test_the_bound_is_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASKX_SCRATCH_BYTES", raising=False)
    assert scratch_bytes() == DEFAULT_BYTES
    monkeypatch.setenv("MASKX_SCRATCH_BYTES", "10GB")
    with pytest.raises(ConfigError, match="MASKX_SCRATCH_BYTES=10GB: must be a number of bytes"):
        scratch_bytes()
