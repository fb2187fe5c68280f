"""The registered model as users meet it: loaded by MLflow alone, and as the scoring server calls it."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from PIL import Image

from maskx_model.inference.predict_files import predict_files
from maskx_model.registry.mlflow_run import connected
from maskx_model.registry.promotion import promote
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair"]
FRESH_PROCESS = """
import json, pathlib, sys
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
import mlflow
model = mlflow.pyfunc.load_model("models:/maskx@champion")
rows = [{"image": pathlib.Path(path).read_bytes()} for path in sys.argv[1:]]
found = model.predict(rows)
import maskx_model, data_prep
print(json.dumps({"found": found, "code": [maskx_model.__path__[0], data_prep.__path__[0]]}))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registered model in `mlflow.db`, its folder `model`, and images of three sizes in `photos`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 2, NAMES)[0], NAMES)
    write_model(folder / "model", NAMES, "transfer")
    evaluate(f"{folder}/model", f"{folder}/data", f"{folder}/evaluation")
    register(f"{folder}/model", f"{folder}/evaluation", tracking_uri=tracking_uri(folder))
    promote("maskx", 1, tracking_uri(folder))
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i, (width, height) in enumerate([(160, 120), (90, 140), (64, 64)]):
        pixels = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"photos/{i}.png")
    return folder


@pytest.fixture(scope="module")
def served(world: Path) -> Any:
    with connected(tracking_uri(world)):
        import mlflow

        return mlflow.pyfunc.load_model("models:/maskx@champion")


def tracking_uri(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def image_files(world: Path) -> list[Path]:
    return sorted((world / "photos").iterdir())


def test_a_fresh_process_without_our_package_agrees_with_predict(world: Path, tmp_path: Path) -> None:
    files = image_files(world)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(world), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-I", "-c", FRESH_PROCESS, *map(str, files)]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    answer = json.loads(process.stdout)
    assert all("/code/" in path for path in answer["code"])
    inputs = [str(file) for file in files]
    predict_files("models:/maskx@champion", inputs, f"{tmp_path}/out", tracking_uri=tracking_uri(world))
    assert as_results(answer["found"], tmp_path / "out") == json.loads((tmp_path / "out/results.json").read_text())


def as_results(found: list[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """The model's answers in COCO's results format."""
    categories = {c["name"]: c["id"] for c in json.loads((out / "images.json").read_text())["categories"]}
    return [
        {
            "image_id": image_id,
            "category_id": categories[label],
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": score,
            "segmentation": mask,
        }
        for image_id, each in enumerate(found, start=1)
        for box, label, score, mask in zip(each["boxes"], each["labels"], each["scores"], each["masks"], strict=True)
    ]


def test_bytes_in_a_frame_or_a_list_and_base64_give_the_same(world: Path, served: Any) -> None:
    images = [file.read_bytes() for file in image_files(world)]
    found = served.predict(pd.DataFrame({"image": images}))
    assert [len(each["boxes"]) > 0 for each in found] == [True] * 3
    assert served.predict([{"image": image} for image in images]) == found
    assert served.predict(pd.DataFrame({"image": [base64.b64encode(each).decode() for each in images]})) == found


def test_an_image_gives_the_same_whatever_its_neighbours(world: Path, served: Any) -> None:
    images = [file.read_bytes() for file in image_files(world)]
    together = served.predict(pd.DataFrame({"image": images}))
    assert [served.predict(pd.DataFrame({"image": [each]}))[0] for each in images] == together


def test_the_scoring_server_takes_base64_in_json(world: Path, served: Any) -> None:
    images = [file.read_bytes() for file in image_files(world)]
    rows = [{"image": base64.b64encode(each).decode()} for each in images]
    request = json.dumps({"dataframe_records": rows})
    answer = invocations(request, "application/json", served, served.metadata.get_input_schema())
    assert answer.status == 200
    assert json.loads(answer.response)["predictions"] == served.predict(pd.DataFrame({"image": images}))


def test_an_unreadable_image_is_named_by_its_position(world: Path, served: Any) -> None:
    good = image_files(world)[0].read_bytes()
    for bad in (good[:300], b"", "not base64!", base64.b64encode(b"no image").decode()):
        with pytest.raises(MlflowException, match=r"row 1 of `image`") as error:
            served.predict(pd.DataFrame({"image": pd.Series([good, bad], dtype=object)}))
        assert error.value.get_http_status_code() == 400


def test_every_form_of_text_gives_what_the_bytes_give(world: Path, served: Any) -> None:
    # Bytes whose base64 has both letters that the URL-safe alphabet writes in another way, and a padding.
    data = image_files(world)[0].read_bytes()
    expected = served.predict(pd.DataFrame({"image": [data]}))
    text = base64.b64encode(data).decode()
    assert "+" in text
    assert "/" in text
    lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    url_safe = base64.urlsafe_b64encode(data).decode()
    forms = [text, lines, url_safe, url_safe.rstrip("="), f"data:image/png;base64,{text}", f"DATA:;base64,{url_safe}"]
    schema = served.metadata.get_input_schema()
    for form in forms:
        for request in (
            {"dataframe_split": {"columns": ["image"], "data": [[form]]}},
            {"dataframe_records": [{"image": form}]},
            {"inputs": [{"image": form}]},
            {"instances": [{"image": form}]},
        ):
            answer = invocations(json.dumps(request), "application/json", served, schema)
            assert answer.status == 200
            assert json.loads(answer.response)["predictions"] == expected


@pytest.mark.parametrize("kind", ["webp", "bmp", "tiff", "gif"])
def test_every_kind_of_image_is_read(served: Any, kind: str) -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).save(file, kind)
    (found,) = served.predict(pd.DataFrame({"image": [file.getvalue()]}))
    assert all(mask["size"] == [30, 40] for mask in found["masks"])


def test_an_image_is_read_upright(served: Any) -> None:
    turned, upright = io.BytesIO(), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.linear_gradient("L").resize((40, 30)).save(turned, "png", exif=exif)
    Image.linear_gradient("L").resize((40, 30)).transpose(Image.Transpose.ROTATE_90).save(upright, "png")
    first, second = served.predict(pd.DataFrame({"image": [turned.getvalue(), upright.getvalue()]}))
    assert first == second
    assert all(mask["size"] == [40, 30] for mask in first["masks"])


def test_what_is_no_image_is_a_bad_request_that_says_which_and_why(world: Path, served: Any) -> None:
    good = base64.b64encode(image_files(world)[0].read_bytes()).decode()
    schema = served.metadata.get_input_schema()
    for bad, why in (
        (7, "instead of an image's bytes"),
        (None, "instead of an image's bytes"),
        ({"b64": good}, "dict instead of an image's bytes"),
        ("", "an empty file"),
        ("photos/p.jpg", "base64"),
        ("data:image/svg+xml,%3Csvg%3E", "data: URI without base64"),
        (base64.b64encode(b"<html>404</html>").decode(), "an HTML page"),
    ):
        rows = [{"image": good}, {"image": bad}, {"image": good}, {"image": "?"}]
        with pytest.raises(MlflowException, match=r"row 1 of `image`.*row 3 of `image`") as error:
            invocations(json.dumps({"dataframe_records": rows}), "application/json", served, schema)
        assert why in str(error.value)
        assert "row 0" not in str(error.value)
        assert error.value.get_http_status_code() == 400


def test_the_signature_says_what_goes_in_and_comes_out(served: Any) -> None:
    signature = served.metadata.signature
    assert signature.inputs.input_names() == ["image"]
    assert signature.outputs.input_names() == ["boxes", "labels", "scores", "masks"]


def test_a_grey_image_is_read_as_any_other(served: Any) -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "jpeg")
    (found,) = served.predict(pd.DataFrame({"image": [file.getvalue()]}))
    assert all(mask["size"] == [256, 256] for mask in found["masks"])
