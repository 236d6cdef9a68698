#!/bin/sh
# From nothing to an anonymised video: builds if needed, writes VP-Synth, trains the three phases of a small recipe,
# judges the result and anonymises a video that training never saw. Called again it goes on where it stopped.
set -eu
cd "$(dirname "$0")/.."

tools/build.sh
program=build/stprivacy
data=runs/data/quickstart
run=runs/quickstart

"$program" synthesize "$data" --clips 3000 --difficulty 0 --width 48 --height 48 --seed 1

# The table that train ends with is printed below, once everything is there.
if [ ! -f "$run/config.toml" ]; then
  "$program" train tools/recipes/quickstart.toml --run "$run" >/dev/null
elif [ ! -f "$run/results.json" ]; then
  "$program" train --run "$run" --resume >/dev/null
fi

# The first test clip of the official list: its lines are "NAME 2" for test clips (HMDB51).
list=$data/splits/jumping_jack_test_split1.txt
clip=$(awk '$2 == 2 { print $1; exit }' "$list")
"$program" anonymize "$data/videos/jumping_jack/$clip" -o "$run/anonymised.mp4" --model "$run" --preview --force

echo
"$program" evaluate "$run"
echo
echo "run folder:        $run (config.toml, log.jsonl, results.json, checkpoints)"
echo "anonymised video:  $run/anonymised.mp4"
echo "pictures:          $(ls "$run"/*ORIGINAL-VISIBLE*) (before, decision, after)"
