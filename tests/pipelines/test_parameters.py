"""Parameters from files and from words, in the types that the compiled pipeline declares."""

import importlib
import json
import re
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.storage.errors import ConfigError, DataError
from pipelines.parameters import OTHER_LISTS, parameters_of
from pipelines.pipeline_names import PipelineName

KINDS = ("STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "LIST", "STRUCT")
SPEC = {
    "root": {
        "inputDefinitions": {
            "parameters": {
                f"a_{kind.lower()}": {"parameterType": kind, "isOptional": True, "description": "x"} for kind in KINDS
            }
        }
    }
}
VALUES = {
    "STRING": st.text(),
    "NUMBER_INTEGER": st.integers(),
    "NUMBER_DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "BOOLEAN": st.booleans(),
    "LIST": st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]))),
    "STRUCT": st.dictionaries(st.text("abc"), st.integers()),
}


@settings(max_examples=40)
@given(st.fixed_dictionaries({}, optional={f"a_{kind.lower()}": values for kind, values in VALUES.items()}))
def test_values_arrive_as_they_were_written(values: dict[str, Any]) -> None:
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
    assert parameters_of(SPEC, None, words) == values


@settings(max_examples=40)
@given(st.lists(st.text()))
def test_any_words_give_values_or_one_error(words: list[str]) -> None:
    try:
        parameters_of(SPEC, None, words)
    except ConfigError as error:
        assert str(error).startswith("parameters of the pipeline: ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_type_is_refused(kind: str, tmp_path: Path) -> None:
    wrong: Any = 3 if kind == "STRING" else "three"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({f"a_{kind.lower()}": wrong}))
    with pytest.raises(ConfigError, match=f"a_{kind.lower()} is (a|true)"):
        parameters_of(SPEC, f"{tmp_path}/run.yaml", [])


def test_words_go_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("a_string: one\na_number_integer: 1\n")
    assert parameters_of(SPEC, f"{tmp_path}/run.yaml", ["a_string=two"]) == {"a_string": "two", "a_number_integer": 1}


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", ""])
def test_a_file_that_holds_no_parameters_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml: (holds no parameters|not YAML)"):
        parameters_of(SPEC, f"{tmp_path}/run.yaml", [])


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(DataError, match=r"nowhere\.yaml"):
        parameters_of(SPEC, "nowhere.yaml", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("overrides: [{stage1.steps: 20000}]", "overrides is a list of texts, not {'stage1.steps': 20000}; Fields"),
        ("sources: [{coco: /data/coco}]", "sources is a list of texts, not {'coco': '/data/coco'}; Original data"),
        ("gpu_tolerations: [nvidia.com/gpu]", "gpu_tolerations is a list of objects, not 'nvidia.com/gpu'"),
        ("evaluate_memory: 32GB", "evaluate_memory '32GB': write a size as Kubernetes does, such as 16Gi"),
        ("nodes: two", "nodes 'two': write a number as text"),
        ("gpu_node_selector: {spot: true}", "gpu_node_selector spot: True: labels are text; put it in quotes"),
        ("gpu_tolerations: [{effect: NoScedule}]", "effect is one of NoSchedule"),
    ],
)
def test_what_no_pod_and_no_step_can_take_is_refused(
    text: str, message: str, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(f"root: /data\ntracking_uri: http://mlflow:5000\n{text}\n")
    with pytest.raises(ConfigError, match=rf"run\.yaml: .*{re.escape(message)}"):
        parameters_of(documents[0], f"{tmp_path}/run.yaml", [])


def test_a_password_in_the_tracking_server_s_uri_is_refused_and_not_repeated(documents: list[dict[str, Any]]) -> None:
    words = ["root=/data", "tracking_uri=http://user:secret@mlflow:5000"]
    with pytest.raises(ConfigError, match="tracking_uri http://mlflow:5000: was given with a user's name") as error:
        parameters_of(documents[0], None, words)
    assert "secret@" not in str(error.value)


@pytest.mark.parametrize("name", get_args(PipelineName))
def test_the_items_of_every_list_are_known(name: str) -> None:
    function = getattr(importlib.import_module(f"pipelines.{name}"), name).pipeline_func
    lists = {name: get_args(each) for name, each in get_type_hints(function).items() if get_origin(each) is list}
    assert lists
    for parameter, (item,) in lists.items():
        assert OTHER_LISTS.get(parameter, (str,))[0] is (get_origin(item) or item), parameter
