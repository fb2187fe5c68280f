#!/usr/bin/env bash
# Puts into .services/cluster what a Kubernetes cluster on this machine needs: etcd, the control plane, kubectl, Kubeflow
# Trainer and JobSet, built from Go modules, and manifests of the last two and of Argo. Programs that are there already
# in these versions stay. Needs Go 1.24.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v go >/dev/null; then
  echo "infra/cluster/install.sh: go is not on PATH; the control plane is built with Go 1.24 or newer" >&2
  exit 1
fi

cluster=$PWD/.services/cluster
export GOBIN=$cluster/bin GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=0
mkdir -p "$GOBIN"

# Builds the programs of a module, unless the ones that are there were built from the same versions.
build() {
  local module=infra/cluster/$1 built=$cluster/$1.mod
  if ! cmp --silent "$module/go.mod" "$built"; then
    echo "building the programs of $module into .services/cluster/"
    nice go -C "$module" install -p 2 -ldflags "$2" tool
    cp "$module/go.mod" "$built"
  fi
}

# Copies a folder of a module, of the version of infra/cluster/kubeflow unless another is named.
copy() {
  local module
  module=$(go -C infra/cluster/kubeflow mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  rm -rf "${cluster:?}/$3"
  cp -r "$module/$2" "$cluster/$3"
  chmod -R u+w "$cluster/$3"
}

build kubernetes '-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4'
ln -sf server "$GOBIN/etcd" # Go names a program by its folder
build kubeflow '-s -w'
copy github.com/kubeflow/trainer/v2 manifests trainer
copy sigs.k8s.io/jobset config jobset
copy github.com/argoproj/argo-workflows/v4@v4.0.5 manifests/base/crds/minimal argo
sed -i /third-party/d "$cluster/trainer/overlays/manager/kustomization.yaml" # JobSet, which would be downloaded
