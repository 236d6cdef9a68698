"""What compare.py makes of numbers: medians, ratios, who goes on, tables; and that it runs any two programs."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import compare  # noqa: E402
from compare import Line, Sample  # noqa: E402

STEP = Line("train_step", "bench_model", "step", (), False, 2.0, 0.4, 0.75)
ROUNDED = Line("train_step", "bench_model", "step", (), True, 2.5, 0.3, 0.6)
COPY = Line("gelu", "bench_lines", "gelu", (), False, 1.0, None, 0.8, True)


def sample(value, unit="s/clip", peak=100.0, flops=0.0, moved=0.0):
    return Sample(value, unit, flops, moved, peak)


def summary(line, pairs, peaks=None):
    ours = [mine for found in pairs.values() for mine, _ in found]
    return compare.summary(line, ours, pairs, {}, peaks or {}, 2)


class Numbers(unittest.TestCase):
    def test_a_program_says_one_line(self):
        text = "# cpu\ntrain_step_2 9 s/clip 1\ntrain_step 0.5 s/clip 1906 7e10 2e9\n"
        self.assertEqual(compare.parsed(text, "train_step"), Sample(0.5, "s/clip", 7e10, 2e9))
        self.assertEqual(compare.parsed("a 3 ms, peak RSS 7 MiB and more\n", "a"), Sample(3, "ms,"))
        for text in ("", "b 1 ms 2\n", "a\n", "a fast ms\n"):
            self.assertIsNone(compare.parsed(text, "a"))

    def test_a_ratio_says_how_much_better_ours_is(self):
        self.assertEqual(compare.ratio(2, 6, "s/clip"), 3)
        self.assertEqual(compare.ratio(6, 2, "clips/s"), 3)

    def test_only_variants_near_the_best_go_on(self):
        variants = {"eager": [sample(4), sample(5)], "compiled": [sample(3), sample(3.2)], "none": []}
        self.assertEqual(compare.best_variant(variants), "compiled")
        self.assertEqual(compare.worth_going_on(variants, 1), ["eager", "compiled", "none"])
        self.assertEqual(compare.worth_going_on(variants, 2), ["compiled"])
        variants["eager"] = [sample(3.8), sample(3.8)]
        self.assertEqual(compare.worth_going_on(variants, 2), ["eager", "compiled"])
        rates = {"a": [sample(100, "clips/s")], "b": [sample(300, "clips/s")]}
        self.assertEqual(compare.best_variant(rates), "b")
        self.assertEqual(compare.worth_going_on(rates, 2), ["b"])
        self.assertIsNone(compare.best_variant({"none": []}))

    def test_medians_and_neighbours(self):
        pairs = {"eager": [(sample(1), sample(9)), (sample(2), sample(8))],
                 "compiled": [(sample(1), sample(4)), (sample(2), sample(5)), (sample(4), sample(6))]}
        result = summary(STEP, pairs)
        self.assertEqual(result["ours"]["median"], 2)
        self.assertEqual(result["best"], "compiled")
        self.assertEqual(result["ratio"], 2.5)
        self.assertEqual(result["neighbours"], [1.5, 4])
        self.assertEqual(result["other"]["eager"], {"median": 8.5, "runs": 2, "peak_mib": 100})

    def test_a_share_needs_cost_and_peak(self):
        peaks = {"copy_2": 10, "f32_2": 200, "bf16_2": 400}
        step, copy = sample(0.5, flops=75e9, moved=9e9), sample(2, "ms", moved=16e6)
        self.assertAlmostEqual(compare.share_of_peak(STEP, step, peaks, 2), 0.75)
        self.assertAlmostEqual(compare.share_of_peak(ROUNDED, step, peaks, 2), 0.375)
        self.assertAlmostEqual(compare.share_of_peak(COPY, copy, peaks, 2), 0.8)
        self.assertIsNone(compare.share_of_peak(COPY, copy, peaks, 4))
        self.assertIsNone(compare.share_of_peak(COPY, sample(2, "ms"), peaks, 2))

    def test_peaks_are_medians_of_those_measured(self):
        self.assertEqual(compare.medians([{"f32_2": 300, "copy_2": 10}, {"f32_2": 200}, {"f32_2": 210}, {}]), {"f32_2": 210, "copy_2": 10})
        self.assertEqual(compare.medians([]), {})

    def test_the_peak_is_measured_in_every_round(self):
        rates = iter([{"f32_2": 100, "copy_2": 1}, {"f32_2": 400, "copy_2": 1}, {"f32_2": 200, "copy_2": 1}])
        said = ["echo", f"{STEP.name} 0.5 s/clip 7 50e9 1e6"]
        result, peaks = compare.compare(STEP, said, {"eager": (said, None)}, 3, lambda: next(rates), 2)
        self.assertEqual(len(peaks), 3)
        self.assertAlmostEqual(result["ours"]["of_peak"], 0.5)

    def test_memory_stands_beside_the_lowest_in_f32(self):
        results = {"train_step": summary(STEP, {"a": [(sample(1, peak=30), sample(3, peak=100))],
                                                "b": [(sample(1, peak=30), sample(2, peak=150))]}),
                   "train_step_bf16": summary(ROUNDED, {"a": [(sample(1, peak=20), sample(3, peak=50))]})}
        compare.add_memory(results, [STEP, ROUNDED])
        self.assertEqual(results["train_step"]["memory"], {"ratio": 0.3, "lowest_f32_mib": 100, "wanted": 0.4})
        self.assertEqual(results["train_step_bf16"]["memory"]["ratio"], 0.2)
        del results["train_step"], results["train_step_bf16"]["memory"]
        compare.add_memory(results, [STEP, ROUNDED])
        self.assertNotIn("memory", results["train_step_bf16"])
        self.assertIn("memory", results["train_step_bf16"]["not_measured"])

    def test_a_verdict_invents_nothing(self):
        self.assertEqual(compare.verdict(2.0, 2.0), "2.00, holds (≥ 2)")
        self.assertEqual(compare.verdict(1.994, 2.0), "1.99, **missed** (≥ 2)")
        self.assertEqual(compare.verdict(0.41, 0.4, at_most=True), "0.41, **missed** (≤ 0.4)")
        self.assertEqual(compare.verdict(3, None), "3.00")
        self.assertEqual(compare.verdict(None, 2), "not measured")

    def test_every_line_has_its_peer(self):
        peer = (ROOT / "bench/torch_peer.py").read_text()
        for line in compare.LINES:
            self.assertTrue(f"def {line.name}(" in peer or f'"{line.name}"' in peer, line.name)
        labels = [line.label for line in compare.LINES]
        self.assertEqual(len(labels), len(set(labels)))

    def test_the_table_has_a_cell_for_every_head(self):
        report = {"machine": {"processor": "x"}, "peaks": {}, "variants": ["eager", "compiled"], "startup": [
            compare.startup_row("help", 20, [3.0, 1.0, 2.0]), compare.startup_row("load", 150, [], "exit code 1: no")]}
        whole = summary(STEP, {"eager": [(sample(1), sample(3))], "compiled": []})
        report["lines"] = [whole, compare.summary(COPY, [], {}, {"ours": "exit code 2: no"}, {}, 2)]
        text = compare.markdown(report)
        rows = [row for row in text.splitlines() if row.startswith("|")]
        self.assertEqual({row.count("|") for row in rows}, {rows[0].count("|")})
        self.assertIn("| step, f32 | s/clip | 1 | 3 | not measured | 3.00, holds (≥ 2) | 3.00 to 3.00 |", text)
        self.assertIn("- help: 2 ms (1 to 3), holds; wanted under 20 ms", text)
        self.assertIn("- load: not measured; wanted under 150 ms; exit code 1: no", text)
        self.assertIn("- gelu, ours: exit code 2: no", text)


class Processes(unittest.TestCase):
    def compare(self, folder, ours, other):
        prefix = pathlib.Path(folder) / "table"
        done = subprocess.run([sys.executable, ROOT / "bench/compare.py", "--between", ours, other, "--only", "job", "--rounds", "2",
                               "--build", folder, "--out", prefix], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(prefix.with_name("table.md").read_text(), done.stdout)
        return json.loads(prefix.with_name("table.json").read_text())["lines"][0]

    def test_any_two_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            line = self.compare(folder, "echo job 2 ms", "echo job 5 ms")
            self.assertEqual((line["ratio"], line["ours"]["runs"]), (2.5, 2))
            self.assertGreater(line["ours"]["peak_mib"], 0)
            self.assertEqual(self.compare(folder, "echo job 2 ms", "false")["not_measured"], {"other": "exit code 1: no line job"})
            self.assertIn("ours", self.compare(folder, "no-such-program", "echo job 5 ms")["not_measured"])


if __name__ == "__main__":
    unittest.main()
