#!/usr/bin/env bash
# Puts into .services/ what a Flink cluster on this machine needs: Flink itself and Beam's job server, about 400 MB.
# Files that are there already stay. Needs Java 11 or 17 and Maven on PATH; PYTHON may name the Python whose pip fetches Flink.
set -euo pipefail
cd "$(dirname "$0")/../.."

flink=1.19.3
services=$PWD/.services

for program in java mvn; do
  if ! command -v "$program" >/dev/null; then
    echo "infra/flink/install.sh: $program is not on PATH; Flink needs a Java 11 or 17 runtime, its job server Maven" >&2
    echo "(Debian: apt-get install openjdk-17-jre-headless maven)" >&2
    exit 1
  fi
done

if [ ! -e "$services/flink-$flink/.whole" ]; then
  echo "installing Flink $flink into .services/"
  rm -rf "$services/flink-$flink"
  "${PYTHON:-python3}" -m pip install --quiet --no-deps --target "$services/flink-$flink" "apache-flink-libraries==$flink"
  touch "$services/flink-$flink/.whole"
fi

# Built again if the jar is older than its recipe. Maven writes the jar in place, so one that was cut off is built again.
jar=$services/flink-job-server.jar
if [ ! -e "$jar.whole" ] || [ infra/flink/pom.xml -nt "$jar.whole" ]; then
  echo "building Beam's job server into .services/"
  rm -f "$jar.whole"
  mvn --quiet --batch-mode --file infra/flink/pom.xml package -Dservices="$services"
  rm -rf "$services/build"
  touch "$jar.whole"
fi
