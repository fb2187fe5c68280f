#!/usr/bin/env bash
# Builds the image without a container engine: buildah in chroot isolation, as root, also inside a container.
# Where no registry can be reached, the base is made from Debian's packages (its python3.11 is near enough for a trial).
#
#   apt-get install buildah debootstrap
#   infra/images/build.sh            # then: buildah push maskx:0.1.0 docker://REGISTRY/maskx:0.1.0
#
# The host's certificates and pip settings hold during the build (mirrors, proxies) and do not stay in the image.
set -euo pipefail
cd "$(dirname "$0")/../.."

image=$(sed -n 's/^IMAGE = "\(.*\)"/\1/p' components/image.py)
base=docker.io/library/$(sed -n 's/^FROM \(python:[^ ]*\)$/\1/p' infra/images/Dockerfile)
export BUILDAH_ISOLATION=chroot
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}

base_from_debian() {
  local root container
  root=$(mktemp -d)
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$root"
  ln -s python3 "$root/usr/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED # the image is pip's alone
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$root" /
  buildah commit --quiet --rm "$container" "$base"
  rm -rf "$root"
}

buildah inspect --type image "$base" >/dev/null 2>&1 || buildah pull --quiet "$base" || base_from_debian

mounts=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
[ ! -e /etc/pip.conf ] || mounts+=(--volume /etc/pip.conf:/etc/pip.conf:ro)
buildah bud "${mounts[@]}" --file infra/images/Dockerfile --tag "$image" .
echo "built $image"
