"""The manifest and the vocabulary: read as written, refused when changed, damaged or of a later version."""

import json
from pathlib import Path

import pytest

from data_prep.format.manifest import Manifest, Shard, Source, SourceFile, read_manifest, write_manifest
from data_prep.format.vocabulary import (
    SourceClass,
    Vocabulary,
    VocabularyClass,
    read_vocabulary,
    write_vocabulary,
)
from data_prep.storage.errors import DataError

MANIFEST = Manifest(
    version="1.0",
    sources=(Source("coco", "coco", (SourceFile("annotations/instances_train2017.json", 10, "00"),), ("cat",)),),
    parameters={"classes": None, "max_rejected": 0.01},
    counts={"train": {"coco": {"photographs": 1}}},
    left_out={"vg": {"no_synset": 1}},
    rejected={},
    files={"index.parquet": "00"},
    shards=(Shard("train/coco-000000.tar", "train", "coco", 1, 2048, "00"),),
)
VOCABULARY = Vocabulary(
    (
        VocabularyClass(
            "bag.n.06", "suitcase", {"coco": SourceClass(("suitcase",), 3, 3), "vg": SourceClass(("bag.n.06",), 5)}, 33
        ),
        VocabularyClass("bag.n.01", "bag (bag.n.01)", {"vg": SourceClass(("bag.n.01",), 9)}),
        VocabularyClass("tree.n.01", "tree", {"vg": SourceClass(("tree.n.01",), 9)}),
    )
)


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    assert read_manifest(str(tmp_path)) == MANIFEST


def test_without_a_manifest_there_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="maskx data prepare"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(("version", "words"), [("2.0", "newer"), ("nonsense", "not a dataset manifest")])
def test_another_version_is_refused(tmp_path: Path, version: str, words: str) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"1.0"', f'"{version}"'))
    with pytest.raises(DataError, match=words):
        read_manifest(str(tmp_path))


def test_a_later_minor_version_with_more_in_it_is_read(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    path = tmp_path / "manifest.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "version": "1.1", "more": 1}))
    assert read_manifest(str(tmp_path)).shards == MANIFEST.shards


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_manifest_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    path = tmp_path / "manifest.json"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(str(tmp_path))


def test_a_manifest_with_a_flipped_bit_in_a_string_is_refused(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    path = tmp_path / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"cat"', b'"c\xe1t"'))
    with pytest.raises(DataError, match=r"manifest\.json: not a dataset manifest"):
        read_manifest(str(tmp_path))


def test_a_manifest_of_nothing_but_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'{"version":"1.4","more":' + b"[" * 100_000)
    with pytest.raises(DataError, match=r"manifest\.json: not a dataset manifest"):
        read_manifest(str(tmp_path))


def test_a_vocabulary_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_vocabulary(f"{tmp_path}/vocabulary.json", VOCABULARY)
    assert read_vocabulary(f"{tmp_path}/vocabulary.json") == VOCABULARY


def test_an_older_vocabulary_does_not_tell_training_masks_apart_and_all_count(tmp_path: Path) -> None:
    drawn = {"mine": SourceClass(("cat",), 9, 7, training_masks=0)}
    write_vocabulary(f"{tmp_path}/vocabulary.json", Vocabulary((VocabularyClass("cat.n.01", "cat", drawn),)))
    path = tmp_path / "vocabulary.json"
    (now,) = read_vocabulary(str(path)).classes
    assert (now.sources["mine"].training_masks, now.masks_to_train_on) == (0, 0)
    document = json.loads(path.read_text())
    del document["classes"][0]["sources"]["mine"]["training_masks"]
    path.write_text(json.dumps(document))
    (older,) = read_vocabulary(str(path)).classes
    assert (older.sources["mine"].training_masks, older.masks_to_train_on) == (None, 7)


def test_a_vocabulary_in_another_order_is_refused_without_its_own_hash(tmp_path: Path) -> None:
    write_vocabulary(f"{tmp_path}/vocabulary.json", VOCABULARY)
    path = tmp_path / "vocabulary.json"
    document = json.loads(path.read_text())
    document["classes"].reverse()
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="hash"):
        read_vocabulary(str(path))


def test_the_hash_depends_on_synsets_and_their_order_alone() -> None:
    renamed = Vocabulary(tuple(VocabularyClass(c.synset, c.name.upper(), {}) for c in VOCABULARY.classes))
    assert renamed.hash == VOCABULARY.hash
    assert Vocabulary(VOCABULARY.classes[::-1]).hash != VOCABULARY.hash


def test_a_source_finds_its_own_names() -> None:
    assert VOCABULARY.index("coco") == {"suitcase": 0}
    assert VOCABULARY.index("vg") == {"bag.n.06": 0, "bag.n.01": 1, "tree.n.01": 2}
    assert VOCABULARY.index("absent") == {}


@pytest.mark.parametrize(("name", "position"), [("suitcase", 0), ("bag.n.06", 0), ("tree", 2), ("nothing", None)])
def test_a_class_is_found_by_any_of_its_names(name: str, position: int | None) -> None:
    assert VOCABULARY.find(name) == position
