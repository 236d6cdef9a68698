#!/bin/sh
# What ptxas says of every CUDA kernel: registers, stack and spills, as a Markdown table. Needs nvcc, no GPU.
#   bench/registers.sh [ARCHITECTURE...]     default: sm_80 sm_90
# Ends with 1 if a kernel spills.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- sm_80 sm_90
for architecture in "$@"; do
  for file in kernels/cuda/*.cu; do
    nvcc -std=c++20 --expt-relaxed-constexpr -arch="$architecture" -Xptxas -v -I. -cubin -o /dev/null "$file" 2>&1 |
      c++filt | sed "s/^/$architecture /"
  done
done | awk '
  BEGIN { print "| kernel | architecture | registers | stack, bytes | spills, bytes |\n|---|---|---|---|---|" }
  /Compiling entry function/ {
    name = $0
    sub(/.*entry function ./, "", name)
    sub(/. for .sm_.*/, "", name)
    gsub(/stp::cuda::(\(anonymous namespace\)::)?/, "", name)
    sub(/^void /, "", name)
    sub(/\(.*/, "", name)
  }
  /bytes stack frame/ { stack = $2; spills = $6 + $10 }
  /Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/)
    printf "| %s | %s | %s | %s | %s |\n", name, $1, substr($0, RSTART + 5, RLENGTH - 5), stack, spills
    bad = bad || spills > 0
  }
  END { exit bad }'
