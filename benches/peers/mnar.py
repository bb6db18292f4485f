"""Cells that are missing because of what they are, filled in by dvae and by what people use.

    python benches/peers/mnar.py target/release/dvae winequality-white.csv

The protocol of not-MIWAE's public notebook (Ipsen, Mattei & Frellsen 2021): the last column of the table is dropped, the others are
standardized, and of the first half of them every cell above its mean is removed; the root of the mean squared error on those. Wants
numpy and scikit-learn, whose iterative imputer of random forests is its form of missForest.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from imputing import read, write
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = [0, 1, 2]
EPOCHS = 150


def table(path):
    text = pathlib.Path(path).read_text().splitlines()
    lines = list(csv.reader(text, delimiter=csv.Sniffer().sniff(text[1]).delimiter))
    rows = np.array([[float(cell) for cell in line] for line in lines[1:]])[:, :-1]
    return (rows - rows.mean(0)) / rows.std(0)


def dvae(program, rows, likelihood, seed):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / "holes.csv", rows)
        settings = [f"data.path={folder / 'holes.csv'}", f"train.epochs={EPOCHS}", f"train.seed={seed}", *likelihood]
        settings = [part for setting in settings for part in ("--set", setting)]
        command = [program, "train", ROOT / "examples/configs/not_miwae.toml", *settings, "--out", folder / "run"]
        common = dict(check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*command, "--quiet"], **common)
        command = [program, "impute", folder / "run", "--last", folder / "holes.csv", "-o", folder / "filled.csv"]
        subprocess.run(command, **common)
        return read(folder / "filled.csv")


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    full = table(sys.argv[2])
    half = full.shape[1] // 2
    removed = np.zeros(full.shape, bool)
    removed[:, :half] = full[:, :half] > full[:, :half].mean(0)
    rows = np.where(removed, np.nan, full)
    forest = RandomForestRegressor(n_estimators=100, random_state=0, n_jobs=2)
    ways = {
        "mean": [lambda: SimpleImputer().fit_transform(rows)],
        "10 nearest neighbors": [lambda: KNNImputer(n_neighbors=10).fit_transform(rows)],
        "iterative ridge": [lambda: IterativeImputer(max_iter=100, random_state=0).fit_transform(rows)],
        "missForest": [lambda: IterativeImputer(forest, random_state=0).fit_transform(rows)],
        "dvae, without": [
            lambda seed=seed: dvae(program, rows, ["model.likelihood={ type = 'learned-normal', min_scale = 0.01 }"], seed)
            for seed in SEEDS
        ],
        "dvae, self-masking": [lambda seed=seed: dvae(program, rows, [], seed) for seed in SEEDS],
    }
    for way, fills in ways.items():
        errors = [np.sqrt(((fill() - full)[removed] ** 2).mean()) for fill in fills]
        each = "  ".join(f"{error:.3f}" for error in errors)
        print(f"{way:22} {np.mean(errors):.3f}   ({each})", flush=True)


if __name__ == "__main__":
    main()
