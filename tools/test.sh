#!/bin/sh
# Builds and runs every test: the whole suite in Release, then units and parsers again under the address and
# undefined-behaviour sanitizers. Slow proofs have the label "slow" and run by name: ctest --test-dir build -L slow
set -eu
cd "$(dirname "$0")/.."

# Tests run side by side, each with every thread: one that waits must leave its processor to the other.
export OMP_WAIT_POLICY=passive

tools/build.sh
ctest --test-dir build --output-on-failure -j "$(nproc)" -LE slow

tools/build.sh sanitize unit_tests
ctest --test-dir build-sanitize --output-on-failure -j "$(nproc)" -L unit
