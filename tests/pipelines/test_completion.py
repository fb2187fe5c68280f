"""Shell completion, as a shell reads it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.cli import main


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    with pytest.raises(SystemExit) as exit_:
        main(["--print-completion", "bash"])
    assert exit_.value.code in {0, None}
    path = tmp_path / "maskx.bash"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def bash(script: Path, program: str) -> str:
    command = ["bash", "--norc", "-c", f"source {script}\n{program}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def completed(script: Path, line: str) -> list[str]:
    """What bash offers for the last word of the line."""
    words = line.split(" ")
    function = bash(script, "complete -p maskx").split()[2]
    listed = " ".join(f"'{word}'" for word in words)
    program = f"COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}\n"
    return bash(script, program + f'{function} maskx\nprintf "%s\\n" "${{COMPREPLY[@]}}"').split()


def test_bash_knows_the_command(script: Path) -> None:
    assert bash(script, "complete -p maskx").startswith("complete -F ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("maskx pi", {"pipeline"}),
        ("maskx train ", {"detector", "masks", "joint"}),
        ("maskx data ver", {"verify"}),
        ("maskx train masks --transfer-l", {"--transfer-layers"}),
        ("maskx evaluate --protocol ", {"coco", "lvis"}),
    ],
)
def test_bash_completes_commands_options_and_choices(line: str, expected: set[str], script: Path) -> None:
    assert expected <= set(completed(script, line))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--print-completion", "zsh"])
    (tmp_path / "_maskx").write_text(capsys.readouterr().out, encoding="utf-8")
    subprocess.run(["zsh", "-n", str(tmp_path / "_maskx")], check=True)


def test_another_shell_is_refused() -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--print-completion", "csh"])
    assert "one of bash, zsh" in str(exit_.value.code)
