#!/usr/bin/env bash
# Builds images without a container engine: buildah in chroot isolation, as root, also inside a container.
# Where no registry can be reached, the base is made from Debian's packages (its python3.11 is near enough for a trial).
#
#   apt-get install buildah debootstrap
#   infra/images/build.sh data tracking   # or without words: all four
#   buildah push maskx:0.1.0 docker://REGISTRY/maskx:0.1.0
#
# What is in an image is listed in dist/images: Python's packages as a CycloneDX SBOM, Debian's as text. For that, PYTHON
# names a Python with the package cyclonedx-bom, such as .services/bom/bin/python after `make .services/bom/.installed`.
# The host's certificates and pip settings hold during the build (mirrors, proxies) and do not stay in the image.
set -euo pipefail
cd "$(dirname "$0")/../.."

image=$(sed -n 's/^IMAGE = "\(.*\)"/\1/p' components/image.py)
base=docker.io/library/$(sed -n 's/^FROM \(python:[^ ]*\) AS base$/\1/p' infra/images/Dockerfile)
contents=dist/images
export BUILDAH_ISOLATION=chroot
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}

base_from_debian() {
  local root container
  root=$(mktemp -d)
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$root"
  ln -s python3 "$root/usr/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED # the image is pip's alone
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$root" /
  buildah commit --quiet --rm "$container" "$base"
  rm -rf "$root"
}

list_contents() { # NAME: the files about the image of that name
  local container
  container=$(buildah from "$1")
  buildah run "$container" -- dpkg-query --show >"$contents/${1%:*}.debian.txt"
  buildah run "$container" -- python -m pip freeze --all |
    "${PYTHON:-python3}" -m cyclonedx_py requirements --output-file "$contents/${1%:*}.cdx.json" -
  buildah rm "$container" >/dev/null
}

[ $# -gt 0 ] || set -- tracking data train serve
for target in "$@"; do
  case $target in
  tracking | data | train | serve) ;;
  *) echo "infra/images/build.sh: there is no image $target; take tracking, data, train or serve" >&2 && exit 2 ;;
  esac
done

buildah inspect --type image "$base" >/dev/null 2>&1 || buildah pull --quiet "$base" || base_from_debian

mounts=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
[ ! -e /etc/pip.conf ] || mounts+=(--volume /etc/pip.conf:/etc/pip.conf:ro)
mkdir -p "$contents"
for target in "$@"; do
  name=maskx-$target:${image#*:}
  [ "$target" != train ] || name=$image
  buildah bud "${mounts[@]}" --layers --build-arg MASKX_COMMIT="$(git rev-parse HEAD)" \
    --target "$target" --file infra/images/Dockerfile --tag "$name" .
  list_contents "$name"
  echo "built $name"
done
