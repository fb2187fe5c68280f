"""What of KFP's output reaches a person."""

import io
import logging

import pytest

from pipelines.step_log import StepLog

EXECUTOR = (
    "    [KFP Executor 2026-11-01 10:00:00,000 INFO]: Looking for component `prepare`\n"
    "    [KFP Executor 2026-11-01 10:00:00,000 INFO]: Got executor_input:\n"
    '    {\n        "inputs": {\n        }\n    }\n'
)
TRACEBACK = (
    "    Traceback (most recent call last):\n"
    '      File "ephemeral_component.py", line 26, in prepare\n'
    "        run(options)\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def finished() -> list[str]:
    return []


@pytest.fixture
def log(finished: list[str]) -> StepLog:
    names = {"sources": "sources", "train-masks-2": "masks-class-agnostic"}
    return StepLog(names, io.StringIO(), lambda step, _seconds: finished.append(step), io.StringIO())


def tell(log: StepLog, message: str) -> bool:
    return log.filter(logging.LogRecord("root", logging.INFO, "", 0, message, None, None))


def shown(log: StepLog) -> str:
    assert isinstance(log.terminal, io.StringIO)
    return log.terminal.getvalue()


def test_steps_are_announced_by_name_and_timed(log: StepLog, finished: list[str]) -> None:
    assert not tell(log, "Executing task \033[96m'train-masks-2'\033[0m")
    assert not tell(log, "Task \033[96m'train-masks-2'\033[0m finished with status \033[92mSUCCESS\033[0m")
    assert shown(log).splitlines() == ["[1/2] masks-class-agnostic", "      done in 0 s"]
    assert finished == ["masks-class-agnostic"]
    assert log.failed is None


def test_kfps_own_lines_go_to_the_log_file_only(log: StepLog) -> None:
    log.write(EXECUTOR)
    log.write("    four images left out[KFP Executor 2026-11-01 10:00:00,000 INFO]: a cache\n\n--------\n")
    assert shown(log) == "      four images left out\n"
    assert isinstance(log.log, io.StringIO)
    assert "executor_input" in log.log.getvalue()


def test_a_failing_step_is_told_by_the_sentence_meant_for_people(log: StepLog, finished: list[str]) -> None:
    tell(log, "Executing task \033[96m'sources'\033[0m")
    log.write(TRACEBACK + "    data_prep.storage.errors.DataError: objects.json: cut short at byte 17\n")
    tell(log, "Task \033[96m'sources'\033[0m finished with status \033[91mFAILURE\033[0m")
    assert (log.failed, log.error()) == ("sources", "objects.json: cut short at byte 17")
    assert "Traceback" not in shown(log)
    assert finished == ["sources"]


def test_a_list_below_that_sentence_is_told_too(log: StepLog) -> None:
    tell(log, "Executing task \033[96m'sources'\033[0m")
    log.write(
        TRACEBACK + "    data_prep.storage.errors.ConfigError: 2 things are wrong:\n    - a\n    - b\n    other\n"
    )
    tell(log, "Task \033[96m'sources'\033[0m finished with status \033[91mFAILURE\033[0m")
    assert log.error() == "2 things are wrong:\n- a\n- b"


def test_another_exception_is_told_by_its_last_line(log: StepLog) -> None:
    tell(log, "Executing task \033[96m'sources'\033[0m")
    tell(log, "Executing task \033[96m'sources'\033[0m")
    log.write(TRACEBACK + "    OSError: [Errno 28] No space left on device\n")
    tell(log, "Task \033[96m'sources'\033[0m finished with status \033[91mFAILURE\033[0m")
    tell(log, "Executing task \033[96m'train-masks-2'\033[0m")  # a step that tells how the run ended
    log.write("    it failed\n")
    assert log.error() == "OSError: [Errno 28] No space left on device"


def test_a_progress_bar_moves_on_a_terminal_and_is_a_line_now_and_then_elsewhere(log: StepLog) -> None:
    bar = "    train:  50%|█████     | 1/2 [00:01<00:01,  1.00it/s]\n"
    log.write(bar * 3)
    assert shown(log).count("\n") == 1
    log.terminal = Terminal()
    log.write(bar * 3)
    assert shown(log).count("\n") == 0
    log.write("    done\n")
    assert shown(log).endswith("it/s]\n      done\n")
