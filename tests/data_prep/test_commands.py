"""`maskx data prepare`, `verify` and `show`, as typed at a terminal."""

from pathlib import Path

import msgspec
import pytest

from data_prep.format.index import write_index
from data_prep.format.manifest import write_manifest
from data_prep.format.reader import Dataset
from data_prep.inspect.show import table
from data_prep.storage.storage import sha256
from pipelines.cli import main
from tests.data_prep.small_sources import coco_image, prepare_plainly, write_coco


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, stdout, and the sentence that ended the command."""
    code, sentence = 0, ""
    try:
        main(["data", *words])
    except SystemExit as exit_:
        code, sentence = (exit_.code, "") if isinstance(exit_.code, int) else (1, str(exit_.code))
    return code, capsys.readouterr().out, sentence


def test_prepare_prints_its_counts(toy_original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = ["--source", f"coco=coco:{toy_original}/coco", "--source", f"vg=vg:{toy_original}/visual_genome"]
    code, out, _ = typed(capsys, "prepare", *sources, "--out", f"{tmp_path}/out", "--limit", "4", "--max-rejected", "1")
    assert code == 0
    assert "train" in out
    assert "beyond_limit" in out


def test_verify_says_whole_or_what_is_not(
    tmp_path: Path, toy_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(capsys, "verify", str(toy_dataset))[:2] == (0, f"{toy_dataset}: whole\n")
    copy = tmp_path / "copy"
    for path in toy_dataset.rglob("*.*"):
        (copy / path.relative_to(toy_dataset)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(toy_dataset)).write_bytes(path.read_bytes())
    shard = Dataset.open(str(copy)).manifest.shards[0].path
    (copy / shard).write_bytes((copy / shard).read_bytes()[:-512])
    (copy / "rejects.parquet").unlink()
    code, out, sentence = typed(capsys, "verify", str(copy))
    assert code == 1
    assert f"{shard}: has" in out
    assert "rejects.parquet: is missing" in out
    assert "2 things are not as the manifest says" in sentence


def test_verify_names_equal_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_coco(tmp_path / "own", [coco_image(1), coco_image(2)], [])
    prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/own")
    dataset = Dataset.open(f"{tmp_path}/out")
    index = f"{tmp_path}/out/index.parquet"
    write_index(index, [dataset.rows[0], *dataset.rows])
    files = {**dataset.manifest.files, "index.parquet": sha256(index)}
    write_manifest(f"{tmp_path}/out", msgspec.structs.replace(dataset.manifest, files=files))
    code, out, _ = typed(capsys, "verify", f"{tmp_path}/out")
    assert code == 1
    assert f"index.parquet: 2 images have the key {dataset.rows[0].key}" in out


def test_show_prints_counts_classes_and_reasons(toy_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "show", str(toy_dataset), "--classes", "3")
    assert code == 0
    assert "coco+vg" in out
    assert "no_synset" in out
    assert "zero_size" in out
    assert "the 3 most frequent" in out


def test_show_prints_a_images_record(toy_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = Dataset.open(str(toy_dataset)).rows[0]
    assert row.shard in typed(capsys, "show", str(toy_dataset), "--key", row.key)[1]
    assert "has no image 'nobody'" in typed(capsys, "show", str(toy_dataset), "--key", "nobody")[2]


def test_export_writes_files_and_says_how_to_read_them(
    toy_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--source", "coco", "--split", "val", "--classes", "red blotched", "--classes", "orange blotched")
    code, out, _ = typed(capsys, "export", str(toy_dataset), *words, "--images", "none", "--out", f"{tmp_path}/out")
    assert code == 0
    assert "annotations/instances_val.json" in out
    assert "maskx data prepare --source coco@val=coco:" in out
    assert "has sources coco, vg" in typed(capsys, "export", str(toy_dataset), "--out", f"{tmp_path}/all")[2]


def test_without_a_dataset_one_sentence_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("show", "verify"):
        code, _, sentence = typed(capsys, command, str(tmp_path))
        assert code == 1
        assert "maskx data prepare" in sentence


def test_text_from_the_data_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in table([("class", "<script>\x1b[2J\nnext")])
    assert len(table([("a\nb", "1")]).splitlines()) == 1
