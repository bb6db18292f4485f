"""Log-densities of 128 rows of 784 entries with their gradient, beside PyTorch's own distributions.

    pip install torch
    python benches/peers/densities.py

Runs the benchmark `densities`, then the same on as many threads in PyTorch, eager and compiled, and prints
milliseconds and how many times as long PyTorch takes. Links are the same: ln(1 + eʳ) above the same floors. PyTorch
has no discretized logistic law: it is written out as PixelCNN++ does.
"""

import time

import torch
import torch.distributions as D
import torch.nn.functional as F

from divan import medians

ROWS, ENTRIES = 128, 784
FLOOR = 1e-3


def logistic(x, mean, scale):
    """The log-mass of the bin about x, of 256 levels."""
    half = 0.5 / 255
    upper, lower = (x + half - mean) / scale, (x - half - mean) / scale
    mass = torch.sigmoid(upper) - torch.sigmoid(lower)
    inner = torch.log(torch.clamp(mass, min=1e-12))
    return torch.where(x < half, F.logsigmoid(upper), torch.where(x > 1 - half, F.logsigmoid(-lower), inner))


def negative_binomial(o):
    mean, theta = F.softplus(o[:, 0]), FLOOR + F.softplus(o[:, 1])
    return D.NegativeBinomial(theta, logits=torch.log(mean) - torch.log(theta), validate_args=False)


def zero_inflated(x, o):
    counted = F.logsigmoid(-o[:, 2]) + negative_binomial(o).log_prob(x)
    return torch.where(x < 0.5, torch.logaddexp(F.logsigmoid(o[:, 2]), counted), counted)


def mixture(x, o):
    logits, mean, raw = o[:, :5], o[:, 5:10], o[:, 10:]
    mass = logistic(x[:, None], mean, FLOOR + F.softplus(raw))
    return torch.logsumexp(F.log_softmax(logits, 1) + mass, 1)


unit, level, count = (lambda u: u), (lambda u: (u * 255).round() / 255), (lambda u: (u * 9).round())
options = {"validate_args": False}
LAWS = {
    "bernoulli": (1, unit, lambda x, o: -F.binary_cross_entropy_with_logits(o[:, 0], x, reduction="none")),
    "continuous-bernoulli": (1, unit, lambda x, o: D.ContinuousBernoulli(logits=o[:, 0], **options).log_prob(x)),
    "learned-normal": (2, unit, lambda x, o: D.Normal(o[:, 0], FLOOR + F.softplus(o[:, 1]), **options).log_prob(x)),
    "learned-laplace": (2, unit, lambda x, o: D.Laplace(o[:, 0], FLOOR + F.softplus(o[:, 1]), **options).log_prob(x)),
    "student-t": (3, unit, lambda x, o: D.StudentT(
        3 + F.softplus(o[:, 2]), o[:, 0], FLOOR + F.softplus(o[:, 1]), **options).log_prob(x)),
    "discretized-logistic": (2, level, lambda x, o: logistic(x, o[:, 0], FLOOR + F.softplus(o[:, 1]))),
    "mixture-of-5": (15, level, mixture),
    "categorical": (10, count, lambda x, o: -F.cross_entropy(o, x.long(), reduction="none")),
    "poisson": (1, count, lambda x, o: D.Poisson(F.softplus(o[:, 0]), **options).log_prob(x)),
    "negative-binomial": (2, count, lambda x, o: negative_binomial(o).log_prob(x)),
    "zero-inflated-negative-binomial": (3, count, zero_inflated),
}


def median(law, parameters, value):
    outputs = torch.randn(ROWS, parameters, ENTRIES, requires_grad=True)
    x, times = value(torch.rand(ROWS, ENTRIES)), []
    for _ in range(60):
        start = time.perf_counter()
        outputs.grad = None
        law(x, outputs).sum().backward()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times[10:])[25]


def main():
    own = medians("densities")
    print(f"{'128 × 784':34}{'dvae':>8}{'PyTorch eager':>20}{'compiled':>20}")
    for (_, name), mine in own.items():
        parameters, value, law = LAWS[name]
        cells = ""
        for peer in (law, torch.compile(law)):
            theirs = median(peer, parameters, value)
            cells += f"{theirs:.2f} ({theirs / mine:.1f}×)".rjust(20)
        print(f"{name:34}{mine:8.2f}{cells}")


main()
