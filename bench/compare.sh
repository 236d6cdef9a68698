#!/bin/sh
# Times bench_model beside another program that measures the same steps, in turn, each run a process of its own.
#   bench/compare.sh ROUNDS STEP 'OTHER COMMAND'
# STEP is train_step, anonymise or recogniser_step. OTHER COMMAND prints a line that begins "STEP SECONDS_PER_CLIP" and
# ends "peak RSS N MiB". Prints the median seconds per clip and peak memory of both, and the median, lowest and
# highest ratio of neighbouring runs. Nothing else may run meanwhile.
set -eu
[ $# = 3 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
rounds=$1 step=$2 other=$3
ours=${STP_BENCH_MODEL:-$(dirname "$0")/../build/bench/bench_model}

round=0
while [ "$round" -lt "$rounds" ]; do
  "$ours" "$step" --batch 4 | awk '{ print "ours", $2, $4 }'
  $other | awk -v step="$step" '$1 == step { print "other", $2, $(NF - 1); found = 1 } END { exit !found }'
  round=$((round + 1))
done | awk -v step="$step" '
  function median(values, n,    i, j, t) {
    for (i = 1; i <= n; ++i)
      for (j = i + 1; j <= n; ++j)
        if (values[j] < values[i]) { t = values[i]; values[i] = values[j]; values[j] = t }
    return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
  }
  $1 == "ours" { a[++n] = $2; am[n] = $3 }
  $1 == "other" { b[n] = $2; bm[n] = $3; ratio[++pairs] = $2 / a[n] }
  END {
    if (pairs == 0) exit 1
    printf "%s, %d rounds: ours %.3f s/clip, %d MiB;", step, pairs, median(a, n), median(am, n)
    printf " other %.3f s/clip, %d MiB;", median(b, pairs), median(bm, pairs)
    middle = median(ratio, pairs)
    printf " other / ours %.2f (%.2f to %.2f)\n", middle, ratio[1], ratio[pairs]
  }'
