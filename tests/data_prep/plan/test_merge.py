"""Images of different sources become one image, and none of validation comes into training."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.manifest import HeldOut
from data_prep.plan.held_out_ids import without_held_out_ids
from data_prep.plan.merge import Merged, merge, same_aspect_ratio
from data_prep.sources.images import SourceImage

FILES = {"coco": 0, "cocoval": 1, "mine": 2, "vg": 3, "lvis": 4, "lvisval": 5}


def image(of: str, number: int, **fields: Any) -> SourceImage:
    """An image of COCO's train file (`coco`) or val file (`cocoval`), of LVIS's, an own file or Visual Genome."""
    standard = {
        "source": of.removesuffix("val"),
        "file": FILES[of],
        "id": number,
        "width": 640,
        "height": 480,
        "split": "val" if of.endswith("val") else "train",
        "coco_id": number if of.startswith("lvis") else None,
        "folder": "images",
        "name": f"{of}-{number}.jpg",
        "listed": "a.json",
        "offset": 0,
    }
    return SourceImage(**{**standard, **fields})


def keys(merged: Merged) -> dict[str, tuple[str, str]]:
    return {m.key: (m.split, m.part) for m in merged.images}


def test_a_coco_id_merges_and_cocos_copy_is_canonical() -> None:
    merged = merge([image("coco", 1)], [image("vg", 9, coco_id=1, width=500, height=375)])
    assert keys(merged) == {"coco-000000000001": ("train", "coco+vg")}
    assert merged.images[0].copies[0].source == "coco"


def test_a_flickr_id_merges_where_there_is_no_coco_id_with_any_coco_format_source() -> None:
    merged = merge([image("mine", 1, flickr_id=77)], [image("vg", 9, flickr_id=77, coco_id=555)])
    assert keys(merged) == {"mine-000000000001": ("train", "mine+vg")}


def test_a_coco_id_means_the_source_named_coco_only() -> None:
    merged = merge([image("mine", 1)], [image("vg", 9, coco_id=1)])
    assert keys(merged) == {"mine-000000000001": ("train", "mine"), "vg-0000000009": ("train", "vg")}


@pytest.mark.parametrize("ids", [{"coco_id": 5}, {"flickr_id": 77}])
def test_a_validation_image_takes_its_copy_out_of_training(ids: dict[str, int]) -> None:
    merged = merge([image("cocoval", 5, flickr_id=77)], [image("vg", 9, **ids)])
    assert keys(merged) == {"coco-000000000005": ("val", "coco+vg")}


def test_every_image_whose_ids_name_a_held_out_image_of_another_source_is_listed() -> None:
    coco = [image("coco", 1), image("cocoval", 5, flickr_id=77), image("cocoval", 6)]
    lvis = [image("lvis", 1), image("lvis", 6)]
    genome = [
        image("vg", 7, coco_id=5),
        image("vg", 8, flickr_id=77),
        image("vg", 9, coco_id=6, width=500),
        image("vg", 3),
    ]
    assert sorted(merge(coco + lvis, genome).held_out) == [
        HeldOut("lvis", 6, "coco_id", "coco-000000000006"),
        HeldOut("vg", 7, "coco_id", "coco-000000000005"),
        HeldOut("vg", 8, "flickr_id", "coco-000000000005"),
        HeldOut("vg", 9, "coco_id", "coco-000000000006"),
    ]


def test_another_aspect_ratio_is_not_merged_but_counted() -> None:
    merged = merge([image("coco", 1)], [image("vg", 9, coco_id=1, width=500, height=385)])
    assert keys(merged) == {"coco-000000000001": ("train", "coco"), "vg-0000000009": ("train", "vg")}
    assert merged.unmerged == Counter(vg=1)


def test_another_aspect_ratio_of_a_validation_image_is_excluded() -> None:
    merged = merge([image("cocoval", 1)], [image("vg", 9, coco_id=1, width=500, height=385)])
    assert [(copy.id, reason) for copy, reason in merged.excluded] == [(9, "aspect_ratio_val")]
    assert keys(merged) == {"coco-000000000001": ("val", "coco")}


def test_ids_that_name_a_training_and_a_validation_image_exclude_it() -> None:
    merged = merge([image("coco", 1), image("cocoval", 2, flickr_id=77)], [image("vg", 9, coco_id=1, flickr_id=77)])
    assert [reason for _, reason in merged.excluded] == ["also_in_val"]


def test_a_second_copy_is_excluded_as_a_duplicate() -> None:
    merged = merge([image("coco", 1)], [image("vg", 9, coco_id=1), image("vg", 8, coco_id=1)])
    assert [(copy.id, reason) for copy, reason in merged.excluded] == [(9, "duplicate")]
    assert merged.images[0].copies[1].id == 8


def test_custom_files_that_count_from_one_in_each_split_get_keys_of_their_own() -> None:
    merged = merge([image("mine", 1), image("mine", 1, file=7, split="val", name="b.jpg")], [])
    assert keys(merged) == {"mine-000000000001": ("train", "mine"), "mine-val-000000000001": ("val", "mine")}


def test_an_lvis_image_joins_cocos_of_its_id_and_visual_genomes_joins_both() -> None:
    merged = merge([image("coco", 1), image("lvis", 1)], [image("vg", 9, coco_id=1)])
    assert keys(merged) == {"coco-000000000001": ("train", "coco+lvis+vg")}
    assert [i.source for i in merged.images[0].copies] == ["coco", "lvis", "vg"]


def test_without_cocos_an_lvis_image_is_canonical_and_visual_genomes_joins_it() -> None:
    merged = merge([image("lvis", 1), image("lvisval", 2)], [image("vg", 8, coco_id=1), image("vg", 9, coco_id=2)])
    assert keys(merged) == {"lvis-000000000001": ("train", "lvis+vg"), "lvis-000000000002": ("val", "lvis+vg")}


def test_the_order_of_the_sources_does_not_matter_to_lvis() -> None:
    merged = merge([image("lvis", 1), image("coco", 1)], [])
    assert keys(merged) == {"coco-000000000001": ("train", "coco+lvis")}


def test_an_lvis_image_of_another_size_does_not_join_though_the_aspect_ratio_is_the_same() -> None:
    merged = merge([image("coco", 1), image("lvis", 1, width=320, height=240)], [])
    assert keys(merged) == {"coco-000000000001": ("train", "coco"), "lvis-000000000001": ("train", "lvis")}
    assert merged.unmerged == Counter(lvis=1)


def test_what_lvis_holds_out_does_not_join_what_coco_trains_on() -> None:
    merged = merge([image("coco", 1), image("lvisval", 1)], [])
    assert [reason for _, reason in merged.excluded] == ["val_in_train"]
    assert keys(merged) == {"coco-000000000001": ("train", "coco")}


def test_sizes_that_rounding_explains_are_the_same_aspect_ratio() -> None:
    assert same_aspect_ratio(image("coco", 1), image("vg", 1, width=500, height=375))
    assert same_aspect_ratio(image("coco", 1), image("vg", 1, width=500, height=378))
    assert not same_aspect_ratio(image("coco", 1), image("vg", 1, width=500, height=381))
    assert not same_aspect_ratio(image("coco", 1), image("vg", 1, width=480, height=640))


def test_an_own_image_with_the_flickr_id_of_another_sources_held_out_image_is_excluded() -> None:
    coco = [image("coco", 1, flickr_id=1), image("cocoval", 5, flickr_id=77)]
    own = [image("mine", 1, flickr_id=77), image("mine", 2, flickr_id=1), image("mine", 3, flickr_id=78)]
    kept = image("mine", 4, file=7, split="val", name="b.jpg", flickr_id=78)
    merged = without_held_out_ids(merge([*own, kept, *coco], []))
    assert [(copy.id, reason) for copy, reason in merged.excluded] == [(1, "val_in_train")]
    assert merged.held_out == [HeldOut("mine", 1, "flickr_id", "coco-000000000005")]
    assert len(merged.images) == 5


def test_cocos_training_image_stays_whatever_its_flickr_id() -> None:
    held_out = image("mine", 4, split="val", flickr_id=1)
    assert without_held_out_ids(merge([image("coco", 1, flickr_id=1), held_out], [])).excluded == []


few = st.integers(0, 6)
maybe = st.none() | few
coco_images = st.builds(
    lambda of, number, flickr, width: image(of, number, flickr_id=flickr, width=width),
    st.sampled_from(["coco", "cocoval", "mine", "lvis", "lvisval"]),
    few,
    maybe,
    st.sampled_from([640, 500]),
)
vg_images = st.builds(
    lambda number, coco_id, flickr, width: image("vg", number, coco_id=coco_id, flickr_id=flickr, width=width),
    few,
    maybe,
    maybe,
    st.sampled_from([640, 500]),
)


def names(one: SourceImage, other: SourceImage) -> bool:
    """Whether an id of the one says that the other is the same image."""
    coco_id = other.id if other.source == "coco" else other.coco_id
    same_flickr_photo = one.flickr_id is not None and one.flickr_id == other.flickr_id
    return same_flickr_photo or (one.coco_id is not None and one.coco_id == coco_id)


@given(
    st.lists(coco_images, max_size=8, unique_by=lambda i: (i.source, i.id)),
    st.lists(vg_images, max_size=8, unique_by=lambda i: i.id),
)
def test_every_image_comes_out_once_or_is_excluded_and_none_of_validation_is_in_training(
    coco_format: list[SourceImage], others: list[SourceImage]
) -> None:
    merged = without_held_out_ids(merge(coco_format, others))
    came_out = [i.identity for m in merged.images for i in m.copies] + [i.identity for i, _ in merged.excluded]
    assert sorted(came_out) == sorted(i.identity for i in coco_format + others)
    assert len({m.key for m in merged.images}) == len(merged.images)
    held_out = [m.canonical for m in merged.images if m.split == "val"]
    training = [i for m in merged.images if m.split == "train" for i in m.copies]
    training = [i for i in training if i.source != "coco"]
    assert not [(i, other) for i in training for other in held_out if i.source != other.source and names(i, other)]
    assert not [i for m in merged.images if m.split == "train" for i in m.copies if i.split == "val"]


@given(st.permutations([image("vg", n, coco_id=n % 3) for n in range(6)]))
def test_the_order_of_the_files_records_does_not_matter(others: list[SourceImage]) -> None:
    coco_format = [image("coco", n) for n in range(2)]
    merged, expected = merge(coco_format, others), merge(coco_format, sorted(others, key=lambda i: i.id))
    assert merged.images == expected.images
    assert merged.excluded == expected.excluded
