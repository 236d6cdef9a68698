#!/bin/sh
# Everything that only a GPU can show, on any machine that has one and a driver, as one Markdown table: every test of the
# device cuda, compute-sanitizer's four tools and ncu where they are found, every kernel beside its floor, the training
# step, and PyTorch's times beside both where Python has torch.
#   tools/gpu_check.sh [-o REPORT.md] [FOLDER]      FOLDER: programs that were packed elsewhere; default: build them here
#   tools/gpu_check.sh --pack FOLDER                copies what a bare machine needs from build/: programs and libraries
# Needs no network and no FFmpeg if the programs were packed. Ends with 1 if a test or a tool finds a fault, with 2 if
# there is no GPU.
set -eu
cd "$(dirname "$0")/.."
programs="tests/test_ops tests/test_golden bench/bench_floor bench/bench_model"

pack() {
  mkdir -p "$1/lib" "$1/tests" "$1/bench"
  for program in $programs; do
    cp "build/$program" "$1/$program"
    # The machine's own C library goes with its own loader; everything else travels along.
    ldd "build/$program" | awk '$3 ~ /^\// { print $3 }' | grep -Ev '/lib(c|m|dl|rt|pthread)\.so' |
      while read -r library; do
        cp -L "$library" "$1/lib/"
        # cuDNN loads the rest of itself by name when it is first used.
        case $library in */libcudnn.so.*) cp -L "${library%/*}"/libcudnn_*.so."${library##*.}" "$1/lib/" ;; esac
      done
  done
  du -sh "$1"
}

report=gpu_check.md folder=
while [ $# -gt 0 ]; do
  case $1 in
    --pack) [ $# = 2 ] || { echo "gpu_check: --pack wants a folder" >&2; exit 2; }; pack "$2"; exit ;;
    -o) [ $# -ge 2 ] || { echo "gpu_check: -o wants a file" >&2; exit 2; }; report=$2; shift ;;
    -*) sed -n '2,9s/^# *//p' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done

gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -1) || gpu=
[ -n "$gpu" ] || { echo "gpu_check: nvidia-smi finds no GPU here; run it on a machine with one" >&2; exit 2; }
if [ -z "$folder" ]; then
  tools/build.sh
  folder=build
fi
export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" STP_DEVICE=cuda STPRIVACY_GOLDEN="$PWD/tests/golden"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0
# result WHAT COMMAND...: a row of the table of checks, with the command's last line.
result() {
  what=$1
  shift
  if "$@" >"$work/out" 2>&1; then verdict=passed; else verdict="**failed**" faults=1; tail -40 "$work/out" >&2; fi
  echo "| $what | $verdict | $(grep -E 'assertions|ERROR SUMMARY|RACECHECK SUMMARY' "$work/out" | tail -1 | tr -d '|' ) |" >>"$work/checks"
}

for test in ops golden; do result "test_$test on cuda" "$folder/tests/test_$test"; done
if [ -x "$folder/stprivacy" ]; then
  # shellcheck disable=SC2016 # the inner shell expands
  result "all phases of tiny.toml, train --device cuda" sh -c '
    "$1/stprivacy" synthesize "$2/runs/data/tiny" --clips 48 --width 32 --height 32 --frames 12 --seed 1 &&
      program=$(realpath "$1/stprivacy") && recipe=$(realpath tools/recipes/tiny.toml) && cd "$2" &&
      "$program" train "$recipe" --device cuda' train "$folder" "$work"
fi
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    result "compute-sanitizer $tool, every op" compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$folder/tests/test_ops" -tc="forward*,gradients agree*,activations*"
  done
else
  echo "| compute-sanitizer | not found | |" >>"$work/checks"
fi

python=
for candidate in "${PYTHON:-python3}" python; do
  if "$candidate" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then python=$candidate; break; fi
done
# shellcheck disable=SC2086 # no flag is no word
step_rows() { # PRECISION FLAG
  for step in train_step anonymise recogniser_step; do
    ours=$("$folder/bench/bench_model" "$step" --device cuda --batch 32 --seconds 2 $2 | awk '{ print $2, $4 }')
    other="- -" compiled="-"
    if [ -n "$python" ]; then
      other=$("$python" bench/torch_peer.py steps --device cuda --batch 32 --only "$step" $2 | awk '{ print $2, $(NF - 1) }')
      compiled=$("$python" bench/torch_peer.py steps --device cuda --batch 32 --only "$step" --compile $2 | awk '{ print $2 }') ||
        compiled=-
    fi
    echo "$step $1 $ours $other $compiled" | awk '{
      ratio = $5 == "-" ? "-" : sprintf("%.2f", ($7 != "-" && $7 < $5 ? $7 : $5) / $3)
      printf "| %s, %s | %.3f | %s | %s | %s | %s | %s |\n", $1, $2, 1e3 * $3, $4,
             $5 == "-" ? "-" : sprintf("%.3f", 1e3 * $5), $7 == "-" ? "-" : sprintf("%.3f", 1e3 * $7), $6, ratio }'
  done
}
# shellcheck disable=SC2086
floors() { # FLAG
  other=""
  if [ -n "$python" ]; then "$python" bench/torch_peer.py ops --device cuda $1 >"$work/torch"; other="--other $work/torch"; fi
  "$folder/bench/bench_floor" --device cuda $1 $other
}

{
  echo "## $gpu"
  echo
  echo "$(nvcc --version 2>/dev/null | grep release || echo 'no nvcc'); torch $(
    [ -n "$python" ] && "$python" -c 'import torch; print(torch.__version__)' || echo 'not found')"
  echo
  echo "| check | result | what it said |"
  echo "|---|---|---|"
  cat "$work/checks"
  echo
  echo "Steps at full size (ViT-S, 16 x 112 x 112), 32 clips, milliseconds a clip, memory in MiB:"
  echo
  echo "| step | ours | memory | PyTorch eager | compiled | its memory | best of PyTorch / ours |"
  echo "|---|---|---|---|---|---|---|"
  step_rows f32 ""
  step_rows tf32 --tf32
  step_rows bf16 --bf16
  echo
  for precision in "" --tf32 --bf16; do
    # shellcheck disable=SC2086
    "$folder/bench/bench_model" train_step --device cuda --batch 32 --seconds 2 --graph $precision >"$work/graph" 2>&1 ||
      faults=1
    echo "The training step as a graph, masked update${precision:+, ${precision#--}}: $(tail -1 "$work/graph")"
    echo
  done
  echo
  floors ""
  echo
  floors --tf32
  echo
  floors --bf16
  if command -v ncu >/dev/null; then
    echo
    echo "ncu, attention in bf16:"
    echo
    ncu --metrics gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,dram__throughput.avg.pct_of_peak_sustained_elapsed,l1tex__data_bank_conflicts_pipe_lsu.sum \
      --kernel-name regex:attention -c 12 --csv "$folder/bench/bench_floor" --device cuda --bf16 attention 2>/dev/null |
      awk -F'","' 'NF > 12 { print "    " $5 ", " $(NF - 2) ": " $NF }'
  fi
} >"$work/report"
mv "$work/report" "$report"
echo "gpu_check: $report"
exit $faults
