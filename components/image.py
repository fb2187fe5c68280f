"""The container image in which every component runs: `infra/images/Dockerfile`, built and pushed under this name.

A cluster wants its own registry's name and a digest (KFP caches and nodes pull by name, so a tag that moves goes
unnoticed): `maskx pipeline compile --image REGISTRY/maskx@sha256:…` puts it in place of this one.
"""

IMAGE = "maskx:0.1.0"
