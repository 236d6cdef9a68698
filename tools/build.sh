#!/bin/sh
# Installs what the build needs, if it is missing, and builds into build/ (Release). Debian 12 and its kin.
# The program is build/stprivacy. Usage: build.sh [PRESET [TARGET...]], a preset of CMakePresets.json.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-release}
[ $# = 0 ] || shift

packages="g++ cmake ninja-build pkg-config libdnnl-dev libhwy-dev libavformat-dev libavcodec-dev libavutil-dev
libswscale-dev libstb-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libfmt-dev doctest-dev libbenchmark-dev"

missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "installing:$missing"
  root=""
  [ "$(id -u)" = 0 ] || root=sudo
  export DEBIAN_FRONTEND=noninteractive
  $root apt-get update -q
  # shellcheck disable=SC2086
  $root apt-get install -y -q --no-install-recommends $missing
fi

launcher=""
command -v ccache >/dev/null && launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
cmake --preset "$preset" $launcher
cmake --build --preset "$preset" ${1:+--target "$@"}
