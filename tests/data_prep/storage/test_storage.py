"""Files and folders appear under their names only when they are whole."""

import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from data_prep.storage.errors import ConfigError, DataError, StorageError
from data_prep.storage.read_ahead import begun_ahead, reading_threads
from data_prep.storage.scratch import scratch_folder
from data_prep.storage.storage import (
    check_writable,
    create,
    create_folder,
    exists,
    finder,
    info,
    is_folder,
    list_files,
    local_copy,
    local_path,
    read,
    read_range,
    remove,
    remove_folder,
    sha256,
    write,
)
from tests.readme import ROOT


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(f"{tmp_path}/a/b", b"12345")
    assert read(f"file://{tmp_path}/a/b") == b"12345"
    assert read_range(tmp_path / "a/b", 1, 3) == b"234"
    assert sha256(tmp_path / "a/b") == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"


def test_a_file_whose_writing_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), create(tmp_path / "a") as file:
        file.write(b"ne")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read(tmp_path / "a") == b"old"


def test_a_full_disk_is_named_with_the_remedy_and_leaves_the_old_file(tmp_path: Path) -> None:
    """A real limit on the size of files stands for the full disk: both come from the system as errors of a write."""
    write(tmp_path / "a", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(StorageError, match=f"{tmp_path}/a: cannot be written .*make room"):
            write(tmp_path / "a", bytes(1000))
        with pytest.raises(StorageError, match="b: cannot be written"), create_folder(tmp_path / "b", "new") as partial:
            (partial / "new").write_bytes(bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read(tmp_path / "a") == b"old"


def test_a_folder_whose_filling_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "folder/old", b"")
    with pytest.raises(ZeroDivisionError), create_folder(tmp_path / "folder", "new") as partial:
        (partial / "new").touch()
        raise ZeroDivisionError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["folder", "folder/old"]


def test_a_folder_filled_replaces_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "folder/old", b"")
    with create_folder(tmp_path / "folder", "new") as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def fill(folder: str | Path) -> None:
    with create_folder(folder, "marker") as partial:
        (partial / "pictures").mkdir()
        for name in ("marker", "pictures/new"):
            (partial / name).write_bytes(b"new")


def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    write(tmp_path / "disk/folder/old", b"")
    for name in ("folder", "not there yet"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
        fill(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert list_files(tmp_path / "disk" / name) == ["marker", "pictures/new"]


@pytest.mark.parametrize("folder", [".", ".."])
def test_the_working_folder_and_one_above_it_are_filled(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(f"{folder}/pictures/old", b"")
    for _ in range(2):
        fill(folder)
        assert list_files(folder) == ["marker", "pictures/new"]


FILLED = "['marker', 'pictures/new']\n"


def in_own_mounts(mount: str, program: str, folder: Path) -> str:
    """What a Python program prints in a folder where only it sees something mounted; skips where that cannot be."""
    alone = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    if subprocess.run([*alone, "bash", "-c", mount], cwd=folder, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    command = [*alone, "bash", "-c", f'{mount} && exec "$0" -c "{program}"', sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("mount", ["-t tmpfs tmpfs volume", "--bind other volume"])
def test_a_mounted_folder_is_filled(tmp_path: Path, mount: str) -> None:
    """It cannot be renamed, be it of another file system or of the same."""
    for name in ("volume", "other"):
        (tmp_path / name).mkdir()
    program = (
        "from data_prep.storage.storage import list_files; from tests.data_prep.storage.test_storage import fill; "
        "fill('volume'); open('volume/pictures/old', 'w').close(); fill('volume'); print(list_files('volume'))"
    )
    assert in_own_mounts(f"mount {mount}", program, tmp_path) == FILLED


def test_an_older_folder_is_removed_when_the_newer_one_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a process that is killed while it removes many files leaves one of the two whole."""
    write(tmp_path / "folder/old", b"")
    seen: list[list[str]] = []
    remove_all = shutil.rmtree

    def look(path: Path, ignore_errors: bool) -> None:
        seen.append(list_files(tmp_path / "folder"))
        remove_all(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", look)
    fill(str(tmp_path / "folder"))
    assert seen[0] == ["marker", "pictures/new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_files_of_the_folder_that_marks_the_end_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    rename = Path.rename

    def told(path: Path, target: Path) -> Path:
        moved.append(target.relative_to(tmp_path).as_posix())
        return rename(path, target)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "rename", told)
    with create_folder(".", "annotations") as folder:
        for name in ("annotations/train.json", "train/a.jpg"):
            write(folder / name, b"")
    assert moved == ["train/a.jpg", "annotations/train.json"]


def test_a_folder_is_made_where_the_working_folder_has_been_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for _ in range(2):
        fill(str(tmp_path / "folder"))
    assert list_files(tmp_path / "folder") == ["marker", "pictures/new"]


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for use in (check_writable, fill):
        with pytest.raises(ConfigError, match="loop: is a link that leads to itself; choose another path"):
            use(str(tmp_path / "loop"))


def test_what_is_in_the_way_of_a_file_or_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for use in (check_writable, fill, lambda path: write(path, b"")):
        with pytest.raises(ConfigError, match="file/new: cannot be written, a part of the path is a file; choose"):
            use(f"{tmp_path}/file/new")
    with pytest.raises(ConfigError, match="folder: cannot be written, a folder is there; choose another path"):
        write(tmp_path / "folder", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_name_that_no_file_can_have_is_of_none(tmp_path: Path) -> None:
    name = tmp_path / ("a" * 256)
    assert (exists(name), is_folder(name), info(name)) == (False, False, None)


def test_a_folder_of_a_lower_layer_is_replaced(tmp_path: Path) -> None:
    """Of a container's file system: it cannot be renamed where it came with the image."""
    if os.getuid():
        pytest.skip("layers that can be removed from need root")
    for name in ("lower/out/pictures", "upper", "work", "volume"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/out/pictures/old").touch()
    program = (
        "from data_prep.storage.storage import list_files; from tests.data_prep.storage.test_storage import fill; "
        "fill('volume/out'); print(list_files('volume/out'))"
    )
    layers = "lowerdir=lower,upperdir=upper,workdir=work"
    assert in_own_mounts(f"mount -t overlay -o {layers} overlay volume", program, tmp_path) == FILLED


def test_a_missing_file_and_one_cut_short_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such file"):
        read(tmp_path / "nothing")
    write(tmp_path / "short", b"123")
    with pytest.raises(DataError, match="short: ends at byte 3, expected 5"):
        read_range(tmp_path / "short", 0, 5)


def test_what_must_be_on_disk_is_refused_elsewhere_also_as_a_path() -> None:
    for out in ("s3://bucket/a", Path("s3://bucket/a")):
        with pytest.raises(ConfigError, match=r"must be a folder or file on disk"):
            local_path(out)


def test_another_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="ftp://"):
        local_path("ftp://host/a")


def test_a_files_version_changes_when_the_file_does(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    before = info(tmp_path / "a")
    assert before is not None
    assert (before.bytes, info(tmp_path / "a")) == (3, before)
    os.utime(tmp_path / "a", ns=(0, 1))
    after = info(tmp_path / "a")
    assert after is not None
    assert (after.bytes, after.version) == (3, 1)


@pytest.mark.parametrize("path", ["nothing", "a/below", "folder", "n" * 300])
def test_what_is_no_file_has_no_info(tmp_path: Path, path: str) -> None:
    write(tmp_path / "a", b"")
    (tmp_path / "folder").mkdir()
    assert info(tmp_path / path) is None
    assert finder(tmp_path)(path) is None


def test_files_of_a_folder_are_listed_in_order(tmp_path: Path) -> None:
    for path in ("b/2", "b/10", "a", ".hidden/c"):
        write(tmp_path / path, b"x")
    (tmp_path / "empty").mkdir()
    assert list_files(tmp_path) == [".hidden/c", "a", "b/10", "b/2"]
    assert finder(f"file://{tmp_path}")("b/10") == info(tmp_path / "b/10")
    assert list_files(tmp_path / "nowhere") == []


def test_files_and_folders_are_removed_once_and_for_all(tmp_path: Path) -> None:
    write(tmp_path / "folder/a", b"")
    write(tmp_path / "folder/b", b"")
    for _ in range(2):
        remove(tmp_path / "folder/a")
    assert list_files(tmp_path / "folder") == ["b"]
    for _ in range(2):
        remove_folder(tmp_path / "folder")
    assert not exists(tmp_path / "folder")
    assert not is_folder(tmp_path / "folder")


def test_a_file_on_disk_is_its_own_local_copy(tmp_path: Path) -> None:
    write(tmp_path / "a", b"")
    assert local_copy(f"file://{tmp_path}/a") == tmp_path / "a"


def test_scratch_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("MASKX_SCRATCH", raising=False)
    assert scratch_folder() == tmp_path / "home/.cache/maskx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert scratch_folder() == tmp_path / "cache/maskx"
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "chosen"))
    assert scratch_folder() == tmp_path / "chosen"
    assert (tmp_path / "chosen").is_dir()


def test_scratch_that_cannot_be_made_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "file", b"")
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "file/below"))
    with pytest.raises(ConfigError, match="MASKX_SCRATCH"):
        scratch_folder()


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """As when a cluster takes a worker for dead and gives its shard to another."""
    with create(tmp_path / "shard") as slow:
        slow.write(b"wh")
        with create(tmp_path / "shard") as fast:
            fast.write(b"whole")
        assert (tmp_path / "shard").read_bytes() == b"whole"
        slow.write(b"ole")
    assert (tmp_path / "shard").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


def test_what_is_begun_ahead_comes_in_order() -> None:
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    coming = begun_ahead(map(begin, range(6)), 2)
    assert next(coming) == 0
    assert begun == [0, 1, 2]
    assert list(coming) == [1, 2, 3, 4, 5]


def test_what_has_not_begun_is_left_undone_where_the_reader_fails() -> None:
    dropped = threading.Event()
    with pytest.raises(DataError), reading_threads(1) as threads:
        threads.submit(dropped.wait, 60)
        waiting = threads.submit(int)
        waiting.add_done_callback(lambda _: dropped.set())
        raise DataError("a.jpg: no image")
    assert waiting.cancelled()
