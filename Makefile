# The environment is .venv/, made by whichever target needs it and reused until pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SERVICES := .services/.installed
FLINK := .services/.flink-installed
BOM := .services/bom
JOBS ?= 2
OUT ?= runs/demo

.PHONY: help demo services test test-slow test-services test-cluster test-images test-scale lint format bench pipeline constraints clean

help:  ## Tell what the targets do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s '	'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV): some minutes and about 7 GB, once'
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## The whole path on the toy world: data, detector, masks, report, registry (about ten minutes)
	$(BIN)/maskx pipeline run --preset toy --out $(OUT)

test: $(STAMP)  ## All tests but the slow ones; with MASKX_REAL_SAMPLE=DIR also those on real images
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m 'not slow and not services and not cluster and not scale and not images'

test-slow: $(STAMP)  ## A model of full size, and most benchmarks in small
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m slow

services: $(SERVICES)  ## Start MLflow on PostgreSQL and an S3 store here, tell how to use them, until Ctrl-C
	$(BIN)/python infra/services/local_services.py

# Files in alphabetical order, which starts with the two longest; pytest-xdist would start with those of the most tests.
test-services: $(SERVICES) $(FLINK) $(BOM)/.installed  ## Tests against real services: S3, Flink (needs Java and Maven), MLflow in a browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m services

$(SERVICES): $(STAMP) infra/services/install.sh
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,services]'
	infra/services/install.sh
	mkdir -p $(@D)
	touch $@

# An environment of its own: beside cyclonedx-bom every import of kfp or kubernetes takes 2.5 seconds longer (jsonschema).
$(BOM)/.installed: constraints.txt
	$(PYTHON) -m venv $(BOM)
	$(BOM)/bin/python -m pip install --quiet --constraint constraints.txt cyclonedx-bom
	touch $@

$(FLINK): $(STAMP) infra/flink/install.sh infra/flink/pom.xml
	PYTHON=$(BIN)/python infra/flink/install.sh
	touch $@

test-cluster: $(STAMP)  ## Tests on a Kubernetes cluster, built from source once (needs Go, ten minutes)
	if command -v go >/dev/null; then infra/cluster/install.sh; else echo 'no Go on PATH: these tests skip'; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster

test-images: $(SERVICES) $(BOM)/.installed  ## Builds and starts the image for serving, which holds torch (20 GB, buildah, root)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -m images

test-scale: $(STAMP)  ## Prepare, verify and show 226,000 small real images (needs MASKX_REAL_SAMPLE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -m scale

lint: $(STAMP)  ## ruff (lint, format), mypy (strict), hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint infra/images/Dockerfile

format: $(STAMP)  ## Let ruff put imports and layout right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## The numbers that the README quotes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.toy_margin --seeds 0 1 2 3 4

pipeline: $(STAMP)  ## Compile the pipelines to the YAML beside them
	$(BIN)/maskx pipeline compile --out pipelines/maskx_vg3000.yaml
	$(BIN)/maskx pipeline compile --pipeline coco_split_study --out pipelines/coco_split_study.yaml
	$(BIN)/maskx pipeline compile --pipeline maskx_predict --out pipelines/maskx_predict.yaml

constraints: $(STAMP) $(BOM)/.installed  ## Pin what is installed now
	{ $(BIN)/python -m pip freeze --all --exclude-editable --exclude pip --exclude uv; \
	  $(BOM)/bin/python -m pip freeze; } | LC_ALL=C sort -fu > constraints.txt

clean:  ## Remove the environment, the runs and all caches
	rm -rf $(VENV) .services runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
