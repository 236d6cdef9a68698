"""TensorBoard itself reads the events of a run, and finds in them what the log says.
   events.py STPRIVACY SOURCE_FOLDER"""
import json
import math
import sys

from made import skip, tiny_run

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    skip("no Python package tensorboard")


def logged(run):
    """(tag, step) -> value, of every number of the log."""
    found = {}
    for line in (run / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] != "step":
            continue
        for key, value in event.items():
            tag = f"{event['stage']}/{key}"
            if isinstance(value, list):
                found.update({(f"{tag}_{i + 1}", event["step"]): v for i, v in enumerate(value)})
            elif key not in ("event", "stage", "step") and not isinstance(value, str):
                found[tag, event["step"]] = value
    return found


with tiny_run(sys.argv[1], sys.argv[2]) as run:
    events = EventAccumulator(str(run / "events"), size_guidance={"scalars": 0}).Reload()
    read = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    wanted = logged(run)
    assert len(wanted) > 300, len(wanted)
    assert read.keys() == wanted.keys(), read.keys() ^ wanted.keys()
    for place, value in wanted.items():
        # TensorBoard's scalars are single precision.
        assert math.isclose(read[place], value, rel_tol=1e-6, abs_tol=1e-30), (place, read[place], value)
    print(f"{len(read)} values agree")
