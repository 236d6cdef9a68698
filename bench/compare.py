#!/usr/bin/env python3
"""Times this project beside PyTorch, in turn, each measurement a process of its own; writes one Markdown and one JSON table.

    bench/compare.py [--only LINE]... [--rounds 5] [--python PYTHON] [--threads N] [--build build] [--out build/bench/compare]
    bench/compare.py --between 'OURS' 'OTHER' --only NAME       any two programs that print "NAME VALUE UNIT ..."
    bench/compare.py --list

PYTHON is one that has torch; the peer is bench/torch_peer.py as it is and compiled, each with glibc's allocator and with
tcmalloc. A round runs ours and then the variant, for every variant; from the third round on only variants that come
near the best go on. Figures are medians; a ratio is one of medians, beside the lowest and highest of neighbouring
runs. What the machine can do at most is measured again in every round: its speed drifts. Memory is the peak resident
size that the system counted for the process. Nothing else may run meanwhile. What could not be measured says so and why.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TCMALLOC = "libtcmalloc_minimal.so.4"
LIMIT = 1200  # seconds that one process may take
NEAR = 1.25  # a variant this much slower than the best, after two rounds, does not come near it


@dataclasses.dataclass(frozen=True)
class Line:
    """One comparison: what both programs call it, how ours is run, and what is wanted of it."""

    name: str
    program: str
    what: str
    flags: tuple = ()  # of both
    bf16: bool = False
    wanted: float | None = None  # PyTorch / ours
    wanted_memory: float | None = None  # ours / the lowest of PyTorch's in f32
    wanted_peak: float | None = None  # share of what the machine was measured to do
    copies: bool = False  # that share is of its copy bandwidth alone
    compiled: bool = True  # the peer has a compiled form
    memory: str = ""  # our train.memory, one for time and peak memory alike

    @property
    def label(self):
        return self.name + ("_bf16" if self.bf16 else "")

    def precision(self):
        return ["--bf16"] if self.bf16 else []

    def ours(self):
        return [*self.flags, *self.precision()] + (["--memory", self.memory] if self.memory else [])


# Speeds drift by tens of percent within seconds on a shared machine: short works are repeated for a while.
DURATION = ("--seconds", "4")
BATCH = ("--batch", "4", *DURATION)
LINES = (
    Line("train_step", "bench_model", "adversarial step, 4 clips, memory fast", BATCH, False, 2.0, 0.4, 0.75, memory="fast"),
    Line("train_step", "bench_model", "adversarial step, 4 clips, memory low", BATCH, True, 2.5, 0.3, 0.60, memory="low"),
    Line("recogniser_step", "bench_model", "recogniser step, masked, 4 clips", BATCH, False, 1.4),
    Line("anonymise", "bench_model", "anonymise, 4 clips", BATCH, False, 1.15),
    Line("anonymise", "bench_model", "anonymise, 4 clips", BATCH, True, 1.4),
    Line("attention_forward", "bench_lines", "policy attention forward, 8 clips", (), False, 2.5),
    Line("attention_forward", "bench_lines", "policy attention forward, 8 clips", (), True, 2.5),
    Line("attention", "bench_lines", "policy attention forward + backward, 8 clips", (), False, 2.5),
    Line("attention", "bench_lines", "policy attention forward + backward, 8 clips", (), True, 2.5),
    Line("tubelet_embedding", "bench_lines", "tubelet embedding with clip gradient, 8 clips", (), False, 3.0),
    Line("layer_norm", "bench_lines", "LayerNorm forward + backward, 3136 x 384", (), False, 1.0, None, 0.8, True),
    Line("gelu", "bench_lines", "GELU forward + backward, 3136 x 1536", (), False, 1.0, None, 0.8, True),
    Line("adamw", "bench_lines", "AdamW, 22 M parameters", (), False, 1.0, None, 0.8, True, compiled=False),
    Line("selection", "bench_lines", "34 best of 49 in 64 slots, and their rows", (), False, 1.0, None, 0.8, True),
    Line("gather", "bench_lines", "gather 2176 of 3136 rows, forward + backward", (), False, 1.0, None, 0.8, True),
    Line("tiny_step", "bench_model", "adversarial step of the quickstart's size, 16 clips", ("--batch", "16", *DURATION), False, 3.0),
)
STARTUP = "startup"


@dataclasses.dataclass
class Sample:
    """One process: what it printed, what it took at most, or why there is nothing."""

    value: float = 0.0
    unit: str = ""
    flops: float = 0.0
    bytes: float = 0.0
    peak_mib: float = 0.0
    error: str = ""


# ---- numbers; no process runs here (tests/bench/compare.py)


def parsed(text, name):
    """The sample in a program's output: the line "NAME VALUE UNIT [MIB [FLOPS BYTES]]" or None."""
    for words in map(str.split, text.splitlines()):
        if len(words) < 2 or words[0] != name:
            continue
        try:
            sample = Sample(float(words[1]), words[2] if len(words) > 2 else "")
        except ValueError:
            continue
        if len(words) == 6:
            try:
                sample.flops, sample.bytes = float(words[4]), float(words[5])
            except ValueError:
                pass
        return sample
    return None


def is_rate(unit):
    """Whether more is better: "clips/s", but not "s/clip"."""
    return unit.endswith("/s")


def ratio(ours, other, unit):
    """How much better ours is."""
    return ours / other if is_rate(unit) else other / ours


def median_of(samples):
    return statistics.median(s.value for s in samples)


def better(a, b, unit):
    return a > b if is_rate(unit) else a < b


def best_variant(variants):
    """Name of the variant with the best median; None if none was measured."""
    best = None
    for name, samples in variants.items():
        if samples and (best is None or better(median_of(samples), median_of(variants[best]), samples[0].unit)):
            best = name
    return best


def worth_going_on(variants, rounds_done):
    """The variants to run in the next round."""
    best = best_variant(variants)
    if rounds_done < 2 or best is None:
        return list(variants)
    unit, least = variants[best][0].unit, median_of(variants[best])
    return [name for name, samples in variants.items()
            if samples and ratio(least, median_of(samples), unit) <= NEAR]


def medians(measurements):
    """{name: median} of dictionaries that name the same values, each perhaps not all of them."""
    names = dict.fromkeys(name for found in measurements for name in found)
    return {name: statistics.median(found[name] for found in measurements if name in found) for name in names}


def share_of_peak(line, sample, peaks, threads):
    """What of the machine's measured peak our program reaches; None if one of them is not known."""
    copy = peaks.get(f"copy_{threads}")
    products = peaks.get(f"{'bf16' if line.bf16 else 'f32'}_{threads}")
    seconds = sample.value * (1e-3 if sample.unit == "ms" else 1)
    if copy is None or products is None or sample.bytes <= 0 or seconds <= 0:
        return None
    by_bytes, by_flops = sample.bytes / (copy * 1e9), sample.flops / (products * 1e9)
    if line.copies:
        return by_bytes / seconds
    return (by_flops if line.program == "bench_model" else max(by_bytes, by_flops)) / seconds


def summary(line, ours, pairs, errors, peaks, threads):
    """The result of a line. ours: all samples; pairs: variant -> neighbouring (ours, other)."""
    result = {"name": line.label, "what": line.what, "precision": "bf16" if line.bf16 else "f32", "not_measured": errors}
    if not ours:
        return result
    middle = statistics.median_low([s.value for s in ours])
    sample = next(s for s in ours if s.value == middle)
    result["ours"] = {"median": median_of(ours), "unit": sample.unit, "runs": len(ours),
                      "peak_mib": statistics.median(s.peak_mib for s in ours),
                      "of_peak": share_of_peak(line, sample, peaks, threads), "wanted_of_peak": line.wanted_peak}
    others = {name: [other for _, other in found] for name, found in pairs.items()}
    result["other"] = {name: {"median": median_of(s), "runs": len(s), "peak_mib": statistics.median(x.peak_mib for x in s)}
                       for name, s in others.items() if s}
    best = best_variant(others)
    if best is not None:
        neighbours = [ratio(a.value, b.value, sample.unit) for a, b in pairs[best]]
        result["best"] = best
        result["ratio"] = ratio(result["ours"]["median"], result["other"][best]["median"], sample.unit)
        result["neighbours"] = [min(neighbours), max(neighbours)]
        result["wanted"] = line.wanted
    return result


def add_memory(results, lines):
    """Sets the peak of each line that promises one beside the lowest of PyTorch's in f32."""
    lowest = {line.name: min(v["peak_mib"] for v in results[line.label]["other"].values())
              for line in lines if not line.bf16 and results.get(line.label, {}).get("other")}
    for line in lines:
        result = results.get(line.label, {})
        if line.wanted_memory is None or "ours" not in result:
            continue
        if line.name in lowest:
            result["memory"] = {"ratio": result["ours"]["peak_mib"] / lowest[line.name],
                                "lowest_f32_mib": lowest[line.name], "wanted": line.wanted_memory}
        else:
            result["not_measured"] = {**result["not_measured"], "memory": "PyTorch in f32 was not measured in this run"}


def verdict(value, wanted, at_most=False):
    """"2.31, holds (≥ 2)" or why there is no telling."""
    if value is None:
        return "not measured"
    if wanted is None:
        return f"{value:.2f}"
    holds = value <= wanted if at_most else value >= wanted
    return f"{value:.2f}, {'holds' if holds else '**missed**'} ({'≤' if at_most else '≥'} {wanted:g})"


def figure(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def markdown(report):
    """The whole report as Markdown."""
    text = ["# Beside PyTorch", ""]
    text += [f"- {key}: {value}" for key, value in report["machine"].items()]
    text += [f"- measured peak: {', '.join(f'{k} {v:.4g}' for k, v in report['peaks'].items()) or 'not measured'} "
             "(GB/s, GFLOP/s; _N: threads; medians of all rounds, a line's share is of its own)", ""]
    names = report["variants"]
    if report["lines"]:
        head = ["line", "unit", "ours", *names, "best / ours", "neighbours", "peak memory, MiB", "its lowest", "ours / lowest f32",
                "of the machine's peak"]
        text += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        text += [markdown_row(line, names) for line in report["lines"]]
        text.append("")
    for row in report["startup"]:
        middle = "not measured" if row["median"] is None else f"{row['median']:.3g} ms ({row['low']:.3g} to {row['high']:.3g})"
        holds = "" if row["median"] is None else ", holds" if row["median"] <= row["wanted"] else ", **missed**"
        text.append(f"- {row['name']}: {middle}{holds}; wanted under {row['wanted']:g} ms{row['reason'] and '; ' + row['reason']}")
    missing = [f"- {line['name']}, {who}: {why}" for line in report["lines"] for who, why in line["not_measured"].items()]
    if missing:
        text += ["", "Not measured:", ""] + missing
    return "\n".join(text) + "\n"


def markdown_row(line, names):
    if "ours" not in line:
        return f"| {line['what']}, {line['precision']} | not measured |" + " |" * (len(names) + 7)
    ours, other = line["ours"], line["other"]
    cells = [f"{line['what']}, {line['precision']}", ours["unit"], figure(ours["median"])]
    cells += [figure(other[n]["median"]) + (f" ({other[n]['runs']})" if other[n]["runs"] != max(o["runs"] for o in other.values()) else "")
              if n in other else "not measured" for n in names]
    cells.append(verdict(line.get("ratio"), line.get("wanted")))
    cells.append("{:.2f} to {:.2f}".format(*line["neighbours"]) if "neighbours" in line else "")
    cells.append(f"{ours['peak_mib']:.0f}")
    cells.append(f"{min(o['peak_mib'] for o in other.values()):.0f}" if other else "not measured")
    memory = line.get("memory")
    cells.append(verdict(memory["ratio"], memory["wanted"], at_most=True) if memory else "")
    share = ours["of_peak"]
    cells.append(verdict(share, ours["wanted_of_peak"]) if share is not None or ours["wanted_of_peak"] else "")
    return "| " + " | ".join(cells) + " |"


# ---- processes


def run(command, environment=None):
    """(exit code, standard output, standard error, seconds, peak MiB) of one process that nothing else waits for."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        try:
            child = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=environment, start_new_session=True)
        except OSError as error:
            return 127, "", str(error), 0.0, 0.0
        killed = False
        while True:
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            if time.perf_counter() - start > LIMIT and not killed:
                os.killpg(child.pid, signal.SIGKILL)
                killed = True
            time.sleep(0.001 if time.perf_counter() - start < 1 else 0.05)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        said = f"no end within {LIMIT} s" if killed else err.read()
        return child.returncode, out.read(), said, seconds, usage.ru_maxrss / 1024


def measured(command, name, environment=None):
    code, out, err, _, peak_mib = run(command, environment)
    sample = parsed(out, name) if code == 0 else None
    if sample is None:
        last = [text for text in err.strip().splitlines() if text.strip()]
        return Sample(error=f"exit code {code}: {last[-1].strip() if last else 'no line ' + name}")
    sample.peak_mib = peak_mib
    return sample


def compare(line, ours_command, variants, rounds, measure_peaks, threads):
    """(the line's result, what the machine did at most in each round). variants: name -> (command, environment)."""
    ours, pairs, errors, peaks = [], {name: [] for name in variants}, {}, []
    for done in range(rounds):
        peaks.append(measure_peaks())
        others = {name: [other for _, other in found] for name, found in pairs.items() if name not in errors}
        for name in worth_going_on(others, done):
            mine = measured(ours_command, line.name, os.environ | {"OMP_NUM_THREADS": str(threads)})
            if mine.error:
                return summary(line, ours, pairs, errors | {"ours": mine.error}, medians(peaks), threads), peaks
            ours.append(mine)
            other = measured(*variants[name][:1], line.name, variants[name][1])
            if other.error:
                errors[name] = other.error
            else:
                pairs[name].append((mine, other))
            print(f"  {line.label} {name}: {mine.value:g}, {other.error or format(other.value, 'g')} {mine.unit}", file=sys.stderr)
    return summary(line, ours, pairs, errors, medians(peaks), threads), peaks


def find_tcmalloc():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"):
        if (pathlib.Path(folder) / TCMALLOC).exists():
            return str(pathlib.Path(folder) / TCMALLOC)
    return None


def peer_variants(line, python, threads, tcmalloc):
    peer = [python, "bench/torch_peer.py", "line", line.name, *line.flags, "--threads", str(threads), *line.precision()]
    plain = os.environ | {"OMP_NUM_THREADS": str(threads)}
    found = {}
    for form, flag in (("eager", []), ("compiled", ["--compile"]))[: 2 if line.compiled else 1]:
        found[form] = (peer + flag, plain)
        if tcmalloc:
            found[form + ", tcmalloc"] = (peer + flag, plain | {"LD_PRELOAD": tcmalloc})
    return found


def processor():
    for text in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.machine()


def first_line(command):
    code, out, _, _, _ = run(command)
    return out.strip().splitlines()[0] if code == 0 and out.strip() else "not found"


def machine(python, threads, tcmalloc, peak_text):
    """What the figures were measured on."""
    return {
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores at hand, {threads} threads used",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "this project": f"{first_line(['git', 'describe', '--always', '--dirty'])}; {peak_text}",
        "PyTorch": first_line([python, "-c", "import torch; print(torch.__version__)"]),
        "tcmalloc": tcmalloc or f"{TCMALLOC} not found: those variants were not measured",
    }


def machine_peaks(build):
    """({name: value}, the line that tells instructions and library) by bench_peak."""
    code, out, _, _, _ = run([str(build / "bench/bench_peak")])
    found, said = {}, "bench_peak did not run"
    for text in out.splitlines() if code == 0 else []:
        words = text.split()
        if text.startswith("#"):
            said = text[1:].strip()
        elif len(words) == 3:
            found[words[0]] = float(words[1])
    return found, said


# ---- start-up


def startup_row(name, wanted, milliseconds, reason=""):
    middle = statistics.median(milliseconds) if milliseconds else None
    return {"name": name, "wanted": wanted, "median": middle, "low": min(milliseconds, default=None),
            "high": max(milliseconds, default=None), "runs": len(milliseconds), "reason": reason}


def timed_processes(command, times):
    found = []
    for _ in range(times):
        code, _, err, seconds, _ = run(command)
        if code != 0:
            return [], f"exit code {code}: {err.strip()}"
        found.append(1e3 * seconds)
    return found, ""


def model_loads(build, times):
    """A full-size model by fresh processes; the file is in the page cache by then."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(build / "bench/bench_load"), str(pathlib.Path(folder) / "model.safetensors")]
        code, _, err, _, _ = run(command)
        if code != 0:
            return [], f"exit code {code}: {err.strip()}"
        samples = [measured(command, "model_load") for _ in range(times)]
    bad = [s.error for s in samples if s.error]
    return ([], bad[0]) if bad else ([s.value for s in samples], "")


def rebuild(build):
    """The program again after one kernel was touched, by the compiler and not out of a cache."""
    (ROOT / "kernels/cpu/attention_backward.cpp").touch()
    code, _, err, seconds, _ = run(["cmake", "--build", str(build), "--target", "stprivacy"], os.environ | {"CCACHE_DISABLE": "1"})
    return ([1e3 * seconds], "") if code == 0 else ([], f"exit code {code}: {err.strip()}")


def startup(build):
    return [startup_row("stprivacy --help", 20, *timed_processes([str(build / "stprivacy"), "--help"], 21)),
            startup_row("load of a full-size model, in the program", 150, *model_loads(build, 7)),
            startup_row("rebuild after a touch of kernels/cpu/attention_backward.cpp", 20_000, *rebuild(build))]


# ---- the program


def write(report, prefix):
    """Beside and renamed: an interruption leaves the tables of before."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for ending, text in ((".md", markdown(report)), (".json", json.dumps(report, indent=1) + "\n")):
        part = prefix.with_name(prefix.name + ending + ".part")
        part.write_text(text)
        part.replace(prefix.with_name(prefix.name + ending))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="LINE", help="a line, or startup; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--out", type=pathlib.Path, help="default: bench/compare in the build folder")
    parser.add_argument("--between", nargs=2, metavar=("OURS", "OTHER"), help="two commands to compare instead")
    parser.add_argument("--list", action="store_true", help="name the lines")
    a = parser.parse_args()
    names = {line.label for line in LINES} | {STARTUP}
    if a.between and len(a.only) != 1:
        parser.error("--between wants one --only NAME: what both programs print")
    unknown = [] if a.between else [name for name in a.only if name not in names]
    if unknown:
        parser.error(f"no line {unknown[0]}; there are {', '.join(sorted(names))}")
    if a.rounds < 1:
        parser.error("--rounds wants at least one")
    a.build, a.out = a.build.resolve(), (a.out or a.build / "bench/compare").resolve()
    return a


def main():
    a = arguments()
    if a.list:
        print("\n".join([line.label for line in LINES] + [STARTUP]))
        return 0
    tcmalloc = find_tcmalloc()
    first, said = machine_peaks(a.build)
    peaks = [first]
    report = {"machine": machine(a.python, a.threads, tcmalloc, said), "peaks": first, "rounds": a.rounds,
              "variants": [], "lines": [], "startup": []}
    if a.between:
        lines = [Line(a.only[0], "", a.only[0])]
        report["variants"] = ["other"]
    else:
        lines = [line for line in LINES if not a.only or line.label in a.only]
        report["variants"] = ["eager", "compiled"] + (["eager, tcmalloc", "compiled, tcmalloc"] if tcmalloc else [])
    results = {}
    for line in lines:
        if a.between:
            ours, variants = shlex.split(a.between[0]), {"other": (shlex.split(a.between[1]), None)}
        else:
            cost = ["--cost"] if line.program == "bench_model" else []
            ours = [str(a.build / "bench" / line.program), line.name, *line.ours(), *cost]
            variants = peer_variants(line, a.python, a.threads, tcmalloc)
        results[line.label], found = compare(line, ours, variants, a.rounds, lambda: machine_peaks(a.build)[0], a.threads)
        add_memory(results, lines)
        peaks += found
        report |= {"lines": list(results.values()), "peaks": medians(peaks)}
        write(report, a.out)
    if not a.between and (not a.only or STARTUP in a.only):
        report["startup"] = startup(a.build)
    write(report, a.out)
    print(markdown(report), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
