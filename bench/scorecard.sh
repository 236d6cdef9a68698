#!/bin/sh
# The scorecard of the CUDA kernels as a Markdown table: what the checked executor counts (bench_scorecard) beside what
# ptxas says of the same instances (registers.sh) and what follows from both for an A100 and an H100: warps a
# multiprocessor, how full its waves are at 32 clips, and a time that is a prediction. Needs nvcc, no GPU.
#   bench/scorecard.sh [NAME]      only cases whose name begins so
set -eu
cd "$(dirname "$0")/.."
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
"${STP_BENCH_SCORECARD:-build/bench/bench_scorecard}" --lines "$@" >"$counted"
bench/registers.sh sm_80 sm_90 | awk -v counted="$counted" '
  function floor(x) { return int(x) }
  function least(a, b) { return a < b ? a : b }
  # Blocks a multiprocessor holds: registers come in runs of 256 a warp, a block costs 1 KiB of shared memory by itself.
  function blocks_held(registers, threads, shared, shared_limit,    warps, held) {
    warps = threads / 32
    held = least(32, floor(64 / warps))
    held = least(held, floor(65536 / (floor((registers * 32 + 255) / 256) * 256 * warps)))
    return least(held, floor(shared_limit / (shared + 1024)))
  }
  function fill(blocks, held, processors,    waves) {
    waves = blocks / (held * processors)
    return waves / (floor(waves) == waves ? waves : floor(waves) + 1)
  }
  { split($0, cell, / *\| */) }
  cell[3] ~ /^sm_/ { registers[cell[3], cell[2]] = cell[4] }
  END {
    print "| kernel | F | X | S | V | C | W | R | warps A100, H100 | Q A100, H100 | predicted, H100, us |"
    print "|---|---|---|---|---|---|---|---|---|---|---|"
    FS = "\t"
    while ((getline < counted) > 0) {
      old = registers["sm_80", $2]; new = registers["sm_90", $2]
      if (old == "" || new == "") { print "scorecard: ptxas knows no " $2 > "/dev/stderr"; exit 1 }
      # Cases of one clip, and AdamW on 0.2 of 22 million parameters.
      clips = $1 ~ /^clip_norm/ ? 1 : $1 == "adamw" ? 110 : 32
      a = blocks_held(old, $4, $5, 164 * 1024); h = blocks_held(new, $4, $5, 228 * 1024)
      qa = fill(clips * $3, a, 108); qh = fill(clips * $3, h, 132)
      # Datasheet: 3.35 TB/s; 0.85 of it for what streams, 0.30 for tensor-core attention at this length.
      efficiency = $1 ~ /_mma$/ ? 0.30 : 0.85
      printf "| %s: %s | %s | %s | %s | %s | %s | %s | %d, %d | %d, %d | %.2f, %.2f | %.1f |\n", $1, $2, $7, $8, $9, $10,
             $11, $12, old, new, a * $4 / 32, h * $4 / 32, qa, qh, clips * $6 / 3.35e6 / (qh * efficiency)
    }
  }'
