#!/bin/sh
# From nothing to an anonymised video: builds if needed, writes VP-Synth, trains the three phases of a small
# recipe, judges the result and anonymises a video that training never saw. Goes on where it stopped if run again.
set -eu
cd "$(dirname "$0")/.."

tools/build.sh
program=build/stprivacy
recipe=tools/recipes/quickstart.toml
data=runs/data/quickstart
run=runs/quickstart

if [ ! -f "$data/labels.csv" ]; then
  "$program" synthesize "$data" --clips 3000 --difficulty 0 --width 48 --height 48 --seed 1
fi

resume=""
[ ! -f "$run/config.toml" ] || resume=--resume
[ -f "$run/results.json" ] || "$program" train "$recipe" --run "$run" $resume

# The first test clip of the official list: its lines are "NAME 2" for test clips (HMDB51).
list=$(find "$data/splits" -name '*_split1.txt' | sort | head -n 1)
clip=$(awk '$2 == 2 { print $1; exit }' "$list")
class=$(basename "$list" | sed 's/_test_split1\.txt$//')
"$program" anonymize "$data/videos/$class/$clip" -o "$run/anonymised.mp4" --model "$run" --preview --force

echo
"$program" evaluate "$run"
echo
echo "run folder:        $run (config.toml, log.jsonl, results.json, checkpoints)"
echo "anonymised video:  $run/anonymised.mp4"
echo "before and after:  $(ls "$run"/*ORIGINAL-VISIBLE*)"
