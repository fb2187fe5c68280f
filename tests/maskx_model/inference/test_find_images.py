"""Which files `maskx predict` reads, and how their overlays are called."""

import os
from pathlib import Path

from maskx_model.inference.find_images import find_images
from tests.maskx_model.inference.small_predictions import image_file
from tests.rights import run_without_privilege


def test_folders_are_searched_for_images_of_any_depth_and_spelling(tmp_path: Path) -> None:
    for name in ("b/x.JPG", "b/deep/x.png", "a.jpeg", "b/.x.png", ".hidden/x.png"):
        image_file(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = find_images([str(tmp_path)], f"{tmp_path}/out").images
    assert [each.uri.removeprefix(f"{tmp_path}/") for each in found] == ["a.jpeg", "b/deep/x.png", "b/x.JPG"]
    assert [each.overlay for each in found] == ["a.png", "b/deep/x.png", "b/x.png"]


def test_a_folders_images_are_known_by_their_bytes_too_and_the_rest_is_named(tmp_path: Path) -> None:
    image_file(tmp_path / "a.webp")
    image_file(tmp_path / "b.tif").rename(tmp_path / "without suffix")
    (tmp_path / "notes.txt").write_text("no image")
    for name in ("c.heic", "d.heic"):
        (tmp_path / name).write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00")
    (tmp_path / "e.json").write_text("{}")
    found = find_images([str(tmp_path)], f"{tmp_path}/out")
    assert [each.overlay for each in found.images] == ["a.png", "without suffix.png"]
    assert found.describe_passed_over() == (
        f"passed over 4 files (2 × a HEIC image: {tmp_path}/c.heic, {tmp_path}/d.heic; "
        f"1 × JSON text: {tmp_path}/e.json; 1 × text: {tmp_path}/notes.txt)"
    )


def test_overlays_of_images_with_one_name_have_different_names(tmp_path: Path) -> None:
    inputs = [str(image_file(tmp_path / name)) for name in ("one/x.png", "two/x.png", "two/x.jpg", "three/X.png")]
    found = find_images(inputs, f"{tmp_path}/out").images
    assert [each.overlay for each in found] == ["x.png", "x-2.png", "x-3.png", "X-4.png"]


def test_an_overlays_name_is_never_that_of_a_folder_of_overlays(tmp_path: Path) -> None:
    for name in ("in/scan.jpg", "in/scan.png/p.jpg", "in/scan-2.png/p.jpg", "other/scan.png/p.png"):
        image_file(tmp_path / name)
    found = find_images([f"{tmp_path}/in", f"{tmp_path}/other"], f"{tmp_path}/out").images
    assert [each.overlay for each in found] == ["scan-2.png/p.png", "scan-3.png", "scan.png/p.png", "scan.png/p-2.png"]


def test_links_are_files_and_folders_of_their_own(tmp_path: Path) -> None:
    """As in the folders of DVC and git-annex, whose files are links into a cache."""
    image_file(tmp_path / "cache/1.jpg")
    image_file(tmp_path / "in/out/overlay.png")
    for name, target in {"a.jpg": "cache/1.jpg", "b.jpg": "cache/1.jpg", "more": "cache", "b": "in/out"}.items():
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    (tmp_path / "cache/loop").symlink_to(tmp_path / "in")
    (tmp_path / "cache/self").symlink_to(tmp_path / "cache")
    found = find_images([f"{tmp_path}/in", f"{tmp_path}/in/../in/a.jpg"], f"{tmp_path}/in/out").images
    assert [each.uri.removeprefix(f"{tmp_path}/in/") for each in found] == ["a.jpg", "b.jpg", "more/1.jpg"]


def test_what_cannot_be_read_is_passed_over_and_named(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png")
    (tmp_path / "notes").write_text("secret")
    (tmp_path / "notes").chmod(0o000)
    image_file(tmp_path / "closed/b.png").parent.chmod(0o000)
    told = run_without_privilege(
        "from maskx_model.inference.find_images import find_images; found = find_images(['.'], 'out'); "
        "print([each.overlay for each in found.images], found.describe_passed_over())",
        tmp_path,
    )
    (tmp_path / "closed").chmod(0o700)
    assert told == (
        "['a.png'] passed over 2 files (1 × folder that cannot be read: get the rights to it: ./closed; "
        "1 × file that cannot be read: get the rights to it: ./notes)\n"
    )


def test_an_image_whose_name_is_not_utf_8_is_passed_over_and_named(tmp_path: Path) -> None:
    image_file(tmp_path / "x.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    image_file(tmp_path / "y.png")
    found = find_images([str(tmp_path)], f"{tmp_path}/out")
    assert [each.overlay for each in found.images] == ["y.png"]
    words = found.describe_passed_over()
    assert "1 × file whose name is not UTF-8" in words
    assert rf"{tmp_path}/caf\udce9.png" in words


def test_an_image_named_twice_is_read_once(tmp_path: Path) -> None:
    file = str(image_file(tmp_path / "x.png"))
    assert len(find_images([file, str(tmp_path), file], f"{tmp_path}/out").images) == 1
