"""The same clips as bench_loader, read the way a careful Python user reads them with PyAV.

    python bench/loader_peer.py [FOLDER] [--epochs N] [--workers N]

Two worker processes, one decoder thread each. A clip of 16 frames at rate 2 with a random start needs the number of
frames that decode (headers are wrong), so a video is decoded to its end and only the frames of the clip are scaled
(swscale, to cover 112 x 112) and cut from the middle. Later epochs remember the lengths and stop after the last frame
of the clip. Workers write into shared memory: no clip is pickled. Prints one line a measurement, "name median clips/s".
"""

import argparse
import multiprocessing
import os
import pathlib
import random
import statistics
import time

import av
import numpy
from av.video.reformatter import VideoReformatter

T, RATE, SIDE = 16, 2, 112
BATCH = 8


def frame_numbers(frames, rng):
    """The clip that starts at random; a short video begins again (data/clip.h)."""
    last = frames - 1 - (T - 1) * RATE
    if last > 0:
        start = rng.randrange(last + 1)
        return [start + t * RATE for t in range(T)]
    places = (frames - 1) // RATE + 1
    return [t % places * RATE for t in range(T)]


def pixels(frame, reformatter):
    """Scaled to cover SIDE x SIDE, the middle of it. A reformatter kept for the whole video saves a third."""
    scale = SIDE / min(frame.width, frame.height)
    width, height = round(frame.width * scale), round(frame.height * scale)
    rgb = reformatter.reformat(frame, width, height, "rgb24", interpolation="BILINEAR").to_ndarray()
    y, x = (height - SIDE) // 2, (width - SIDE) // 2
    return rgb[y:y + SIDE, x:x + SIDE]


def read_clip(path, frames, seed, out):
    """Fills out (T, SIDE, SIDE, 3); `frames` is the length if it is known, else 0. Returns the length."""
    rng = random.Random(seed)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        if frames == 0:
            decoded = list(container.decode(stream))
            frames = len(decoded)
        else:
            decoded = container.decode(stream)
        wanted = frame_numbers(frames, rng)
        last, made, reformatter = max(wanted), {}, VideoReformatter()
        for number, frame in enumerate(decoded):
            if number in wanted:
                made[number] = pixels(frame, reformatter)
            if number == last:
                break
    for t, number in enumerate(wanted):
        out[t] = made[number]
    return frames


def work(tasks, results, memory):
    clips = numpy.frombuffer(memory, numpy.uint8).reshape(-1, T, SIDE, SIDE, 3)
    for place, slot, path, frames, seed in iter(tasks.get, None):
        results.put((place, slot, read_clip(path, frames, seed, clips[slot])))


def epoch(paths, lengths, tasks, results, slots, seed):
    """Seconds of one pass over all clips."""
    order = random.Random(seed).sample(range(len(paths)), len(paths))
    start = time.perf_counter()
    free, given, done = list(range(slots)), 0, 0
    while done < len(order):
        while free and given < len(order):
            place = order[given]
            tasks.put((place, free.pop(), paths[place], lengths[place], seed * 1_000_003 + place))
            given += 1
        place, slot, frames = results.get()
        lengths[place] = frames
        free.append(slot)
        done += 1
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    data = os.environ.get("STPRIVACY_DATA", "../shared/data")
    parser.add_argument("folder", nargs="?", default=os.path.join(data, "jhmdb/videos"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    paths = sorted(str(path) for path in pathlib.Path(arguments.folder).rglob("*") if path.is_file())
    slots = 3 * BATCH
    memory = multiprocessing.RawArray("B", slots * T * SIDE * SIDE * 3)
    tasks, results = multiprocessing.SimpleQueue(), multiprocessing.SimpleQueue()
    workers = [multiprocessing.Process(target=work, args=(tasks, results, memory), daemon=True)
               for _ in range(arguments.workers)]
    for worker in workers:
        worker.start()
    epoch(paths[:8], [0] * 8, tasks, results, slots, 0)  # imports and the like
    first, later = [], []
    for round_number in range(arguments.epochs):
        lengths = [0] * len(paths)
        first.append(len(paths) / epoch(paths, lengths, tasks, results, slots, 2 * round_number + 1))
        later.append(len(paths) / epoch(paths, lengths, tasks, results, slots, 2 * round_number + 2))
    for _ in workers:
        tasks.put(None)
    print(f"first_epoch {statistics.median(first):.1f} clips/s\nlater_epoch {statistics.median(later):.1f} clips/s")


if __name__ == "__main__":
    main()
