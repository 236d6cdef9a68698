#!/bin/sh
# Builds and runs every test: the whole suite in Release, then units and parsers again under the address and
# undefined-behaviour sanitizers. Slow proofs have the label "slow" and run by name: ctest --test-dir build -L slow
set -eu
cd "$(dirname "$0")/.."

tools/build.sh
ctest --test-dir build --output-on-failure -LE slow

STP_BUILD=build-sanitize STP_CMAKE="-DSTP_SANITIZE=address,undefined -DSTP_BENCH=OFF" \
  STP_TARGETS="test_ops test_engine test_models test_data test_experiment test_anonymise" tools/build.sh
ctest --test-dir build-sanitize --output-on-failure -L unit
