"""The command as a person meets it: help, versions, mistakes."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from pipelines.cli import EXTRAS, main
from pipelines.command_list import GROUPS
from tests.pipelines.blocked_imports import BLOCK_IMPORTS, modules_of
from tests.pipelines.test_import_rules import ORDER, OURS, files_of, imports_of

REPOSITORY = Path(__file__).parents[2]
WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
HEAVY = ("apache_beam", "cv2", "kfp", "mlflow", "numpy", "pandas", "pyarrow", "torch", "tyro")


def maskx(*words: str, cwd: Path = REPOSITORY) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipelines.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_help_names_every_command_and_where_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in GROUPS)
    assert "maskx pipeline run --preset toy" in text


def test_help_imports_nothing_heavy() -> None:
    program = f"import sys; from pipelines.cli import main; main(['--help']); print(*(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("word", GROUPS)
def test_every_command_has_help_that_says_what_it_is_for(word: str) -> None:
    done = maskx(word, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: maskx " + word in done.stdout


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"maskx {version('maskx')}\n"


def test_a_word_that_is_no_command_is_answered_with_those_that_are() -> None:
    done = maskx("trian")
    assert done.returncode == 2
    assert "no command 'trian'" in done.stderr
    assert "train" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "detector", "--dataset", "nowhere", "--out", "out"], "nowhere: no manifest.json"),
        (["train", "detector", "--dataset", "x", "--out", "out", "--preset", "huge"], "preset 'huge' does not exist"),
        (["pipeline", "run", "--out", "out", "--preset", "huge"], "preset 'huge' does not exist"),
        (["pipeline", "run", "--out", "out", "--preset", "real_sample"], "pass --data DIR"),
        (["pipeline", "run", "--out", "out", "--data", "nowhere"], "nowhere: holds neither coco/ nor visual_genome/"),
    ],
)
def test_a_mistake_ends_in_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    done = maskx(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("maskx: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("data show s3://bucket/dataset", "s3"),
        ("data prepare --source coco=coco:coco --out dataset", "data"),
        ("data verify dataset", "data"),
        ("data browse dataset", "data"),
        ("study tables --dataset dataset --detector detector --out out", "train"),
        ("model lineage models:/maskx/1", "train"),
        ("pipeline compile --out maskx.yaml", "pipeline"),
    ],
)
def test_a_missing_library_is_answered_with_the_extra_that_brings_it(words: str, extra: str, tmp_path: Path) -> None:
    blocked = set(packages_distributions()) - modules_of("maskx")
    program = BLOCK_IMPORTS.format(blocked=blocked) + f"from pipelines.cli import main; main({words.split()})"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"maskx: this command needs \S+, which is not installed: pip install 'maskx\[{extra}\]'\n", done.stderr
    )


def test_every_optional_library_is_known_with_an_extra_that_brings_it() -> None:
    files = [file for room in ORDER for file in files_of(room)]
    imported = {module.partition(".")[0] for file in files for module in imports_of(file)}
    required = modules_of("maskx") | {*sys.stdlib_module_names, *OURS, "mypy_boto3_s3"}  # the last is for mypy alone
    assert imported - required == set(EXTRAS)
    assert {module for module, extra in EXTRAS.items() if module not in modules_of(f"maskx[{extra}]")} == set()


def test_a_file_that_cannot_be_read_ends_in_one_sentence(tmp_path: Path) -> None:
    done = maskx("data", "prepare", "--source", "a=coco:b", "--synsets", str(tmp_path), "--out", "c", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"maskx: {tmp_path}: Is a directory\n")


def test_an_error_of_the_system_that_names_no_file_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_words: list[str]) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pipelines.cli.run", failing)
    with pytest.raises(OSError, match="Input/output error"):
        main(["data"])


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.cli.run", interrupted)
    with pytest.raises(SystemExit) as exit_:
        main(["data"])
    assert exit_.value.code == 130


def test_somebody_elses_components_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").write_text("raise RuntimeError('not ours')")
    program = (
        "import pipelines.cli, data_prep, maskx_model; import sys; "
        f"sys.path.insert(0, {str(tmp_path)!r}); pipelines.cli.main(['pipeline', 'compile', '--out', 'x.yaml'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"'components' that Python finds is {tmp_path / 'components'}" in done.stderr


def test_output_that_nobody_reads_to_its_end_is_no_error() -> None:
    command = [sys.executable, "-m", "pipelines.cli", "data", "sources"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout is not None
    process.stdout.close()
    assert process.communicate()[1] == b""
    assert process.returncode == 0


@pytest.mark.parametrize("words", [["data", "toy", "s3://bucket/a"], ["pipeline", "run", "--out", "s3://bucket/a"]])
def test_what_must_be_on_disk_is_refused_elsewhere(words: list[str], tmp_path: Path) -> None:
    done = maskx(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "this must be a folder or file on disk" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("chosen", "seen"), [({}, "50000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
def test_waiting_threads_sleep_unless_the_user_chooses(chosen: dict[str, str], seen: str) -> None:
    program = "import os; from pipelines.cli import main; main(['--version']); print(os.environ.get('GOMP_SPINCOUNT'))"
    environment = {name: value for name, value in os.environ.items() if name not in WAITING} | chosen
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
    assert done.stdout.splitlines()[-1] == seen


@pytest.mark.parametrize(
    ("words", "near"),
    [(["data", "prepar"], "do you mean prepare"), (["model", "xyz"], "one of register, promote, rollback, lineage")],
)
def test_a_second_word_that_is_no_command_is_answered_with_near_ones(words: list[str], near: str) -> None:
    done = maskx(*words)
    assert done.returncode == 2
    assert near in done.stderr


def test_an_unknown_option_is_answered_with_a_near_one() -> None:
    done = maskx("data", "show", "dataset", "--clases", "3")
    assert done.returncode == 2
    assert "--classes" in done.stderr
