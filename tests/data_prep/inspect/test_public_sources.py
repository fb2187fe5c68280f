"""`maskx data sources`: what it tells people to do is what prepare understands."""

from pathlib import Path

import pytest

from data_prep.inspect.public_sources import SOURCES, PublicSource, describe_sources
from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.sources.zips import published_in


def test_every_page_address_and_license_is_printed() -> None:
    text = describe_sources()
    for source in SOURCES:
        assert all(told in text for told in (source.page, source.layout, source.option, source.license))
        assert all(file.url in text for file in source.files)


def test_the_scratch_folder_and_its_bound_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "there"))
    monkeypatch.setenv("MASKX_SCRATCH_BYTES", str(7 * 10**9))
    assert f"{tmp_path}/there (MASKX_SCRATCH names another). Copies in it take up to 7.0 GB" in describe_sources()


def test_the_disk_for_both_is_less_than_for_each_alone() -> None:
    """The images that they share stand in the dataset once."""
    sizes = {
        line.rpartition("  ")[0].strip(): line.split()[-2]
        for line in describe_sources().splitlines()
        if line.endswith("GB")
    }
    both = float(next(size for name, size in sizes.items() if name.startswith("the dataset of both")))
    alone = [float(size) for name, size in sizes.items() if name.startswith("images of")]
    assert max(alone) < both < sum(alone)


@pytest.mark.parametrize("source", SOURCES)
def test_prepare_understands_the_layout(source: PublicSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in source.layout.split():
        if "/" in word and not word.startswith("("):
            (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
            if "*" not in word:
                (tmp_path / word).touch()
    monkeypatch.chdir(tmp_path)
    wanted = []
    for files in parse_sources((source.option.removeprefix("--source "),)):
        if isinstance(files, CocoFiles):
            wanted.append(files.annotations)
        else:
            wanted += [f"{files.folder}/image_data.json", f"{files.folder}/objects.json"]
    assert len(wanted) == 2
    assert all(any(Path(archive).exists() for archive in published_in(file)) for file in wanted)
