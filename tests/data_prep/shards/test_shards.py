"""Images are assigned to shards of equal size, and every image is checked before it is copied."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import PlannedImage
from data_prep.plan.sharding import MIN_IMAGES_PER_SHARD, MIN_SHARDS, assign_to_shards, order
from data_prep.shards.image_file import read_image_file
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from tests.data_prep.small_sources import SIZE, jpeg


def planned(number: int, split: str = "train", size: int = 100) -> PlannedImage:
    image = SourceImage("coco", 0, number, *SIZE, split, "images", "a.jpg", "a.json", 0)
    return PlannedImage(MergedImage("coco", (image,)), size, 1)


planned_images = st.lists(
    st.builds(planned, st.integers(0, 10**6), st.sampled_from(["train", "val"]), st.integers(0, 10**4)),
    max_size=60,
    unique_by=lambda p: p.merged.key,
)


@given(planned_images, st.integers(1, 10**5))
def test_every_image_is_assigned_once_by_split_and_in_key_order(given_: list[PlannedImage], shard_bytes: int) -> None:
    shards = assign_to_shards(given_, shard_bytes)
    assert all(shards)
    assert all(len({p.merged.split for p in shard}) == 1 for shard in shards)
    for split in ("train", "val"):
        assigned = [p for shard in shards for p in shard if p.merged.split == split]
        expected = [p for p in given_ if p.merged.split == split]
        assert assigned == sorted(expected, key=lambda p: order(p.merged.key))


@given(planned_images, st.integers(1, 10**5), st.randoms())
def test_the_order_given_does_not_matter(given_: list[PlannedImage], shard_bytes: int, random: Any) -> None:
    shuffled = random.sample(given_, len(given_))
    assert assign_to_shards(shuffled, shard_bytes) == assign_to_shards(given_, shard_bytes)


def test_there_are_sixteen_shards_where_there_are_images_for_them() -> None:
    enough = [planned(number) for number in range(MIN_SHARDS * MIN_IMAGES_PER_SHARD)]
    assert len(assign_to_shards(enough, 10**9)) == MIN_SHARDS
    assert len(assign_to_shards(enough[:40], 10**9)) == 2
    assert len(assign_to_shards(enough[:5], 10**9)) == 1


def test_shards_are_of_about_the_size_asked_for() -> None:
    shards = assign_to_shards([planned(number, size=1000) for number in range(1000)], 10_000)
    assert {len(shard) for shard in shards} == {10}


def test_an_image_is_read_verbatim(tmp_path: Path) -> None:
    kinds = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif"}
    for kind, extension in kinds.items():
        (tmp_path / "a.jpg").write_bytes(jpeg(kind=kind))
        found = read_image_file(at(tmp_path / "a.jpg"))
        assert (found.data, found.extension, found.findings) == (jpeg(kind=kind), extension, ())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "format_not_read"),
        (b"<html>404</html>", "format_not_read"),
        (jpeg(kind="PPM"), "format_not_read"),
        (jpeg()[:-80], "unreadable"),
        (jpeg(kind="BMP")[:-80], "unreadable"),
        (jpeg(kind="TIFF")[:200], "unreadable"),
        (jpeg(kind="WEBP")[:30], "unreadable"),
    ],
)
def test_an_image_that_is_not_what_was_listed_is_rejected(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BrokenError) as caught:
        read_image_file(at(tmp_path / "a.jpg"))
    assert caught.value.reason == reason


def test_a_jpeg_damaged_in_the_middle_still_decodes_or_is_rejected(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise(SIZE, 90).save(buffer, "JPEG")
    for position in range(0, len(buffer.getvalue()), 37):
        damaged = bytearray(buffer.getvalue())
        damaged[position] ^= 0xFF
        (tmp_path / "a.jpg").write_bytes(damaged)
        try:
            read_image_file(at(tmp_path / "a.jpg"))
        except BrokenError as error:
            assert error.reason in {"unreadable", "format_not_read"}


def at(path: Path) -> SourceImage:
    return SourceImage("coco", 0, 1, *SIZE, "train", str(path.parent), path.name, "a.json", 0)
