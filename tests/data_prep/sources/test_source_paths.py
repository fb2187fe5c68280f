"""The paths of `NAME=coco:ANNOTATIONS,IMAGES`: with commas, in object storage, and those that are not read."""

from pathlib import Path

import pytest

from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import jpeg, prepare_plainly
from tests.data_prep.sources.exports import found, write_tree


@pytest.mark.parametrize("names", [("a.json", "my,pics"), ("a,b.json", "pics"), ("a,b.json", "c,d,e")])
def test_paths_may_have_commas(tmp_path: Path, names: tuple[str, str]) -> None:
    annotations, images = names
    write_tree(tmp_path, {annotations: ["a.jpg"]}, [f"{images}/a.jpg"])
    expected = [("train", annotations, images)]
    assert found(f"mine=coco:{tmp_path}/{annotations},{tmp_path}/{images}", tmp_path) == expected


def test_the_file_may_be_on_disk_and_its_images_in_object_storage(tmp_path: Path, plain_store: SmallStore) -> None:
    write_tree(tmp_path, {"a,b.json": ["a.jpg"]}, [])
    plain_store.objects["bucket/photos/a.jpg"] = jpeg()
    expected = [("train", "a,b.json", "s3://bucket/photos")]
    assert found(f"mine=coco:{tmp_path}/a,b.json,s3://bucket/photos/", tmp_path) == expected
    assert found(f"mine=coco:file://{tmp_path}/a,b.json,s3://bucket/photos", Path(f"file:/{tmp_path}")) != []


def test_a_comma_that_may_be_meant_in_two_ways_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, {"a": ["a.jpg"], "a,b": ["a.jpg"]}, ["b,c/a.jpg", "c/a.jpg"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="whether a and b,c or a,b and c are meant"):
        parse_sources(("mine=coco:a,b,c",))


def test_a_url_is_not_read(tmp_path: Path) -> None:
    for path in ("https://example.org/a.json,images", f"{tmp_path}/a.json,gs://bucket/images", "http://x/y"):
        with pytest.raises(ConfigError, match=r"(https|gs|http)://.* is a URL, which is not read; download it"):
            parse_sources((f"mine=coco:{path}",))


def test_a_folder_for_a_file_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {"anns/a.json": ["a.jpg"]}, ["images/a.jpg"])
    with pytest.raises(DataError, match="anns: is a folder, where a file is needed"):
        prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/anns,{tmp_path}/images")
