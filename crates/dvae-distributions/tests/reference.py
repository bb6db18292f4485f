"""Log-densities, their gradients and means, computed with many digits: writes `reference.json` beside itself.

    pip install mpmath==1.3.0 scipy==1.17.1
    python crates/dvae-distributions/tests/reference.py

Every law is written here from its definition, a second time, in mpmath; where SciPy knows it, SciPy must
agree. Gradients are numerical derivatives at 60 digits. Arguments are exact in single precision.
"""

import json
import pathlib
import struct

import scipy.stats
from mpmath import diff, exp, fabs, log, log1p, loggamma, mp, mpf, pi, sqrt, tanh

mp.dps = 60


def single(x):
    return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def softplus(x):
    return log1p(exp(x)) if x < 0 else x + log1p(exp(-x))


def log_sigmoid(x):
    return -softplus(-x)


def normal(x, mean, scale):
    return -((x - mean) / scale) ** 2 / 2 - log(scale) - log(2 * pi) / 2


def sensor_scale(mean):
    return sqrt(max(mean / 4 + mpf(1) / 16, mpf(1) / 64))


def student(x, location, scale, degrees):
    t = (x - location) / scale
    return (
        loggamma((degrees + 1) / 2)
        - loggamma(degrees / 2)
        - log(pi * degrees) / 2
        - log(scale)
        - (degrees + 1) / 2 * log(1 + t * t / degrees)
    )


def poisson(x, rate):
    return x * log(rate) - rate - loggamma(x + 1)


def negative_binomial(x, mean, theta):
    return (
        loggamma(x + theta)
        - loggamma(theta)
        - loggamma(x + 1)
        + theta * log(theta / (theta + mean))
        + x * log(mean / (theta + mean))
    )


def bin_mass(x, location, scale, levels):
    half = mpf(1) / (2 * (levels - 1))
    upper = sigmoid((x + half - location) / scale) if x < 1 - half else mpf(1)
    lower = sigmoid((x - half - location) / scale) if x > half else mpf(0)
    if lower > mpf("0.5"):  # the same difference from the other tail, which keeps its digits
        above = sigmoid(-(x - half - location) / scale)
        beyond = sigmoid(-(x + half - location) / scale) if x < 1 - half else mpf(0)
        return above - beyond
    return upper - lower


def continuous_bernoulli(x, logit):
    p = sigmoid(logit)
    if logit == 0:
        return mpf(0)
    # 2 artanh(1 - 2p) / (1 - 2p), with 1 - 2p = -tanh(l / 2)
    return x * log_sigmoid(logit) + (1 - x) * log_sigmoid(-logit) + log(logit / tanh(logit / 2))


def mixture(x, outputs, components, levels, floor):
    logits, locations, raw = (outputs[i * components : (i + 1) * components] for i in range(3))
    total = sum(exp(l) for l in logits)
    terms = zip(logits, locations, raw)
    return log(sum(exp(l) / total * bin_mass(x, m, floor + softplus(r), levels) for l, m, r in terms))


def zero_inflated(x, mean, theta, gate):
    if x == 0:
        return log(sigmoid(gate) + sigmoid(-gate) * exp(negative_binomial(x, mean, theta)))
    return log_sigmoid(-gate) + negative_binomial(x, mean, theta)


# Name and settings of a law; log-density of x and outputs; the same by SciPy; mean of outputs.
thousandth = mpf("0.001")
LAWS = {
    "bernoulli": (
        {"type": "bernoulli"},
        lambda x, o: x * log_sigmoid(o[0]) + (1 - x) * log_sigmoid(-o[0]),
        lambda x, o: scipy.stats.bernoulli(float(sigmoid(o[0]))).logpmf(float(x)),
        lambda o: sigmoid(o[0]),
    ),
    "continuous-bernoulli": (
        {"type": "continuous-bernoulli"},
        lambda x, o: continuous_bernoulli(x, o[0]),
        None,
        lambda o: mpf(1) / 2 if o[0] == 0 else 1 / (1 - exp(-o[0])) - 1 / o[0],
    ),
    "normal": (
        {"type": "normal", "scale": 0.5},
        lambda x, o: normal(x, o[0], mpf("0.5")),
        lambda x, o: scipy.stats.norm(float(o[0]), 0.5).logpdf(float(x)),
        lambda o: o[0],
    ),
    "learned-normal": (
        {"type": "learned-normal", "min_scale": 0.001},
        lambda x, o: normal(x, o[0], thousandth + softplus(o[1])),
        lambda x, o: scipy.stats.norm(float(o[0]), float(thousandth + softplus(o[1]))).logpdf(float(x)),
        lambda o: o[0],
    ),
    "poisson-gaussian": (
        {"type": "poisson-gaussian", "gain": 0.25, "offset": 0.0625, "min_scale": 0.125},
        lambda x, o: normal(x, o[0], sensor_scale(o[0])),
        lambda x, o: scipy.stats.norm(float(o[0]), float(sensor_scale(o[0]))).logpdf(float(x)),
        lambda o: o[0],
    ),
    "laplace": (
        {"type": "laplace", "scale": 0.25},
        lambda x, o: -fabs(x - o[0]) * 4 - log(mpf("0.5")),
        lambda x, o: scipy.stats.laplace(float(o[0]), 0.25).logpdf(float(x)),
        lambda o: o[0],
    ),
    "learned-laplace": (
        {"type": "learned-laplace", "min_scale": 0.001},
        lambda x, o: -fabs(x - o[0]) / (thousandth + softplus(o[1])) - log(2 * (thousandth + softplus(o[1]))),
        lambda x, o: scipy.stats.laplace(float(o[0]), float(thousandth + softplus(o[1]))).logpdf(float(x)),
        lambda o: o[0],
    ),
    "student-t": (
        {"type": "student-t"},
        lambda x, o: student(x, o[0], thousandth + softplus(o[1]), 3 + softplus(o[2])),
        lambda x, o: scipy.stats.t(
            float(3 + softplus(o[2])), float(o[0]), float(thousandth + softplus(o[1]))
        ).logpdf(float(x)),
        lambda o: o[0],
    ),
    "discretized-logistic": (
        {"type": "discretized-logistic"},
        lambda x, o: log(bin_mass(x, o[0], thousandth + softplus(o[1]), 256)),
        None,
        None,
    ),
    "two-levels": (
        {"type": "discretized-logistic", "levels": 2, "min_scale": 0.001},
        lambda x, o: log(bin_mass(x, o[0], thousandth + softplus(o[1]), 2)),
        None,
        None,
    ),
    "mixture": (
        {"type": "discretized-logistic", "levels": 256, "components": 2, "min_scale": 0.001},
        lambda x, o: mixture(x, o, 2, 256, thousandth),
        None,
        None,
    ),
    "categorical": (
        {"type": "categorical", "classes": 3},
        lambda x, o: o[int(x)] - max(o) - log(sum(exp(l - max(o)) for l in o)),
        None,
        None,
    ),
    "poisson": (
        {"type": "poisson"},
        lambda x, o: poisson(x, softplus(o[0])),
        lambda x, o: scipy.stats.poisson(float(softplus(o[0]))).logpmf(float(x)),
        lambda o: softplus(o[0]),
    ),
    "negative-binomial": (
        {"type": "negative-binomial"},
        lambda x, o: negative_binomial(x, softplus(o[0]), thousandth + softplus(o[1])),
        # SciPy counts failures before n successes of probability n / (n + mean).
        lambda x, o: scipy.stats.nbinom(
            float(thousandth + softplus(o[1])),
            float((thousandth + softplus(o[1])) / (thousandth + softplus(o[1]) + softplus(o[0]))),
        ).logpmf(float(x)),
        lambda o: softplus(o[0]),
    ),
    "zero-inflated-negative-binomial": (
        {"type": "zero-inflated-negative-binomial"},
        lambda x, o: zero_inflated(x, softplus(o[0]), thousandth + softplus(o[1]), o[2]),
        None,
        lambda o: softplus(o[0]) * sigmoid(-o[2]),
    ),
}

level = lambda k: single(mpf(k) / 255)
CASES = {
    "bernoulli": [(x, [l]) for l in (-1e4, -30, -2.5, 0, 3, 1e4) for x in (0, 0.25, 1)],
    "continuous-bernoulli": [
        (x, [l]) for l in (-1e4, -20, -0.625, -0.375, 0, 2**-20, 0.375, 0.625, 4, 1e4) for x in (0, 0.25, 1)
    ],
    "normal": [(x, [m]) for m in (-1, 1e4) for x in (-1, 0.25, 1e4)],
    "learned-normal": [(x, [0.5, r]) for r in (-1e4, -3, 0, 30, 1e4) for x in (-1, 0.5, 1e4)],
    "poisson-gaussian": [(x, [m]) for m in (-1e4, -1, 0, 0.5, 1e4) for x in (-1, 0.25, 1e4)],
    "laplace": [(x, [m]) for m in (-1, 1e4) for x in (-2, 0.25, 1.5e4)],
    "learned-laplace": [(x, [0.5, r]) for r in (-1e4, -3, 0, 30, 1e4) for x in (-1, 0.625, 1e4)],
    "student-t": [
        (x, [0.5, r, q])
        for r, q in ((-1e4, -1e4), (-1e4, 2), (0, -1e4), (0, 0), (-2, 5), (1, 50), (0, 1e3), (0, 1e4), (1e4, 2))
        for x in (0.625, 3, -100, 1e4)
    ],
    "discretized-logistic": [
        (x, [m, r])
        for m, r in ((0.5, -1e4), (0.5, -6), (0.25, -3), (-1, -2), (2, 0), (0.5, 4), (0.5, 1e4), (1e4, 0))
        for x in (0, level(17), level(128), level(254), 1)
    ],
    "two-levels": [(x, [m, r]) for m, r in ((0.25, -2), (0.75, 2), (0.5, -1e4)) for x in (0, 1)],
    "mixture": [
        (x, [1, -1, 0.25, 0.75, -4, -2]) for x in (0, level(17), level(128), level(254), 1)
    ] + [(x, [1e4, -1e4, 0.25, 0.75, -4, -2]) for x in (0, level(64))],
    "categorical": [(x, o) for o in ([0, 1, -2], [1e4, 0, -1e4], [-30, -30, 2]) for x in (0, 1, 2)],
    "poisson": [(x, [r]) for r in (-1e4, -20, -2, 0, 5, 1000, 1e6) for x in (0, 1, 4, 100, 1e6)],
    "negative-binomial": [
        (x, [r, q])
        for r, q in (
            (-1e4, 0), (-5, -1e4), (-5, 3), (0, -1e4), (0, 0), (3, -3), (100, 0), (100, 50), (100, 1e6),
            (1e6, 0), (1e6, 1000), (1e6, 1e6),
        )
        for x in (0, 1, 7, 1000, 1e6)
    ],
    "zero-inflated-negative-binomial": [
        (x, [r, q, g]) for r, q in ((0, 0), (100, 3), (1e6, -1e4)) for g in (-1e4, -2, 0, 3, 1e4) for x in (0, 7, 1e6)
    ],
}

entries = []
for name, cases in CASES.items():
    config, density, by_scipy, mean = LAWS[name]
    for x, outputs in cases:
        x, outputs = single(x), [single(o) for o in outputs]
        value = density(x, outputs)
        if by_scipy is not None:
            theirs = by_scipy(x, outputs)
            # SciPy itself loses digits, or everything, at the extremes.
            if abs(theirs) < 1e3:
                assert abs(theirs - float(value)) < 1e-5 * max(1, abs(theirs)), (name, x, outputs, theirs, value)
        gradient = [
            diff(lambda v: density(x, outputs[:i] + [v] + outputs[i + 1 :]), outputs[i])
            for i in range(len(outputs))
        ]
        entry = {
            "likelihood": config,
            "outputs": [float(o) for o in outputs],
            "x": float(x),
            "log_prob": float(value),
            "gradient": [float(g) for g in gradient],
        }
        if mean is not None:
            entry["mean"] = float(mean(outputs))
        entries.append(entry)
    print(name, len(cases), flush=True)

lines = ",\n".join(json.dumps(entry) for entry in entries)
path = pathlib.Path(__file__).with_name("reference.json")
path.write_text(f"[\n{lines}\n]\n")
