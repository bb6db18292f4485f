"""Counts denoised by dvae and by what people use, measured by molecular cross-validation.

    python benches/peers/counts.py target/release/dvae counts.csv

Batson, Royer & Webber (2019), "Molecular Cross-Validation for Single-Cell RNA-seq": the units of each count are split by chance, 90 to
10. Every way sees the 90 % alone; what it says of them, times 1/9, is compared with the 10 %, of which the noise is independent. The
measures are means over entries: the Poisson deviance, 2 (x ln(x/m) - x + m) with m at least 1e-6; the squared error of counts; and that of
ln(1 + x) after both are scaled to 10,000 counts a row, which the denoising task of Open Problems in Single-Cell Analysis has. The first
two are least for the means of the counts; the last is not, and likes what is near the many zeros.

Then the same of rows that were not trained on, of which more and more is taken away: 70 % of the rows are trained on as they are, and
the others are thinned.

The table has a row for each cell and a column for each gene; columns `cell_type` and `n_counts` are left out. Wants numpy and
scikit-learn. The numbers of neighbors and of components are those that the measure likes best: the favor is theirs.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = [0, 1, 2]
LAWS = {
    "scVI's settings (no thinning)": ["corruption=none", "model.likelihood.of={ type = 'zero-inflated-negative-binomial' }"],
    "Poisson, no thinning": ["corruption=none"],
    "Poisson, thinning": [],
}


def table(path):
    lines = list(csv.reader(pathlib.Path(path).read_text().splitlines()))
    kept = [at for at, name in enumerate(lines[0]) if name not in ("cell_type", "n_counts")]
    return np.array([[int(line[at]) for at in kept] for line in lines[1:]])


def normalized(counts):
    return np.log1p(1e4 * counts / np.maximum(counts.sum(1, keepdims=True), 1e-9))


def measures(estimate, held, ratio=1 / 9):
    mean = np.maximum(estimate * ratio, 1e-6)
    logs = np.where(held > 0, held * np.log(np.maximum(held, 1) / mean), 0)
    of_logs = ((normalized(estimate) - normalized(held)) ** 2).mean()
    return (2 * (logs - held + mean)).mean(), ((held - mean) ** 2).mean(), of_logs


def neighbors(counts, k, known=None):
    """Counts of the k nearest rows, in 50 principal components, and of the row itself, scaled to the row's total."""
    own = counts if known is None else known
    fit = PCA(50, random_state=0).fit(normalized(own))
    near = NearestNeighbors(n_neighbors=k + (known is None)).fit(fit.transform(normalized(own)))
    places = near.kneighbors(fit.transform(normalized(counts)), return_distance=False)
    sums = own[places].sum(1) + (0 if known is None else counts)
    return sums / sums.sum(1, keepdims=True) * counts.sum(1, keepdims=True)


def components(counts, k):
    """The first k principal components of the square roots, squared: a variance-stabilized low rank."""
    roots = np.sqrt(counts / counts.sum(1, keepdims=True))
    fit = PCA(k, random_state=0).fit(roots)
    shares = np.maximum(fit.inverse_transform(fit.transform(roots)), 0) ** 2
    return shares / shares.sum(1, keepdims=True) * counts.sum(1, keepdims=True)


def dvae(program, counts, settings, seed, inputs=None):
    """What a model trained on counts makes of inputs, a list of others, or of the same."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        np.save(folder / "counts.npy", counts.astype(np.uint16))
        settings = ["data.source=npy", f"data.path={folder / 'counts.npy'}", "data.domain=counts", f"train.seed={seed}", *settings]
        settings = [part for setting in settings for part in ("--set", setting)]
        command = [program, "train", ROOT / "examples/configs/counts.toml", *settings, "--out", folder / "run", "--quiet"]
        common = dict(check=True, stdout=subprocess.DEVNULL)
        subprocess.run(command, **common)
        results = []
        for rows in [counts] if inputs is None else inputs:
            np.save(folder / "input.npy", rows.astype(np.uint16))
            subprocess.run([program, "denoise", folder / "run", folder / "input.npy", "-o", folder / "clean.npy"], **common)
            results.append(np.load(folder / "clean.npy").astype(np.float64))
        return results[0] if inputs is None else results


def of_other_rows(program, full):
    lost = [0.1, 0.5, 0.8, 0.95]
    found = {}
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        order = random.permutation(len(full))
        known, others = full[order[: int(0.7 * len(full))]], full[order[int(0.7 * len(full)) :]]
        inputs = [random.binomial(others, 1 - share) for share in lost]

        def deviances(estimates):
            each = zip(estimates, inputs, lost)
            return [measures(estimate, others - seen, share / (1 - share))[0] for estimate, seen, share in each]

        share = known.sum(0) / known.sum()
        near = [deviances([neighbors(seen, k, known) for seen in inputs]) for k in [5, 10, 15, 20, 30, 50]]
        ways = {
            "the input itself": deviances(inputs),
            "the mean row": deviances([share * seen.sum(1, keepdims=True) for seen in inputs]),
            "nearest neighbors": np.min(near, axis=0),
        }
        for name, settings in LAWS.items():
            ways[name] = deviances(dvae(program, known, settings, seed, inputs))
        for name, results in ways.items():
            found.setdefault(name, []).append(results)
    print("\nrows that were not trained on: Poisson deviance, where of each count are lost " + ", ".join(f"{share:.0%}" for share in lost))
    for name, results in found.items():
        print(f"{name:30} " + "   ".join(f"{deviance:.4f}" for deviance in np.mean(results, axis=0)), flush=True)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    full = table(sys.argv[2])
    found = {}
    for seed in SEEDS:
        seen = np.random.default_rng(seed).binomial(full, 0.9)
        held = full - seen
        mean = seen.sum(0) / seen.sum() * seen.sum(1, keepdims=True)
        best = lambda way, sizes: [measures(way(seen, size), held) for size in sizes]
        ways = {
            "the input itself": [measures(seen, held)],
            "the mean row": [measures(mean, held)],
            "nearest neighbors": best(neighbors, [5, 10, 15, 20, 30, 50]),
            "principal components": best(components, [2, 3, 5, 8, 10, 15, 20]),
        }
        for name, settings in LAWS.items():
            ways[name] = [measures(dvae(program, seen, settings, seed), held)]
        for name, results in ways.items():
            found.setdefault(name, []).append(np.min(results, axis=0))
    for name, results in found.items():
        deviance, squares, of_logs = np.mean(results, axis=0)
        each = "  ".join(f"{result[0]:.4f}" for result in results)
        print(f"{name:30} deviance {deviance:.4f} ({each})   squares {squares:.4f}   of logarithms {of_logs:.3f}", flush=True)
    of_other_rows(program, full)


if __name__ == "__main__":
    main()
