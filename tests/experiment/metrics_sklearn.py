"""Expected values of tests/experiment/metrics_cases.cpp by scikit-learn: python3 metrics_sklearn.py > metrics_sklearn.csv

The cases are drawn by SplitMix64 (Steele, Lea, Flood, 2014) in the order that the test draws them: only the numbers
that scikit-learn gives are stored.
"""

import math
import sys
import warnings

import numpy
import sklearn
from sklearn.metrics import average_precision_score, f1_score

MASK = (1 << 64) - 1


class Draws:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def score(draws, kind):
    if kind == 0:
        return (draws.next() >> 11) * 2.0**-53
    if kind == 1:
        return (draws.next() % 5) / 4
    if kind == 2:
        return 0.5
    return (draws.next() % 2) * 0.75


def truth(draws, kind):
    if kind < 2:
        return kind
    return int(draws.next() % 3 == 0)


def case(number):
    draws = Draws(number)
    clips, attributes = 1 + draws.next() % 60, 1 + draws.next() % 5
    kinds = [draws.next() % 8 for _ in range(attributes)]
    rows = [[(score(draws, number % 4), truth(draws, kinds[a])) for a in range(attributes)] for _ in range(clips)]
    return numpy.array(rows)  # (n, A, 2)


def logit(p):
    return math.inf if p == 1 else -math.inf if p == 0 else math.log(p / (1 - p))


def macro(table, said):
    truths = table[:, :, 1].astype(int)
    return numpy.mean([f1_score(truths[:, a], said[:, a], zero_division=0) for a in range(truths.shape[1])])


warnings.simplefilter("ignore")  # about attributes that no clip has
print(f"# scikit-learn {sklearn.__version__}: cmap (fraction), cmap of present attributes, F1, F1 of logits")
for number in range(1000):
    table = case(number)
    scores, truths = table[:, :, 0], table[:, :, 1].astype(int)
    precisions = [average_precision_score(truths[:, a], scores[:, a]) for a in range(truths.shape[1])]
    present = [p for a, p in enumerate(precisions) if truths[:, a].any()]
    values = [
        numpy.mean(precisions),
        numpy.mean(present) if present else 0.0,
        macro(table, scores > 0.5),
        macro(table, numpy.vectorize(logit)(scores) > 0.5),
    ]
    sys.stdout.write(",".join(f"{float(v):.17g}" for v in values) + "\n")
