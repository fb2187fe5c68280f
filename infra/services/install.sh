#!/usr/bin/env bash
# Installs PostgreSQL from Debian's packages where it is missing. The other services are in Python packages (pyproject.toml).
set -euo pipefail

if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "infra/services/install.sh: PostgreSQL is missing (Debian: apt-get install postgresql)" >&2
  exit 1
fi
echo "installing PostgreSQL"
apt-get update
apt-get install --yes --no-install-recommends postgresql-common
# No database beside ours, which `local_services.py` makes.
sed -i 's/^#\? *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt-get install --yes --no-install-recommends postgresql
