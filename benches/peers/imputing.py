"""Missing cells of a table, filled in by dvae and by what people use.

    python benches/peers/imputing.py target/release/dvae

The protocol of MIWAE's public notebook (Mattei & Frellsen 2019): the breast cancer table (569 × 30), standardized, half of
its cells removed at random; the mean squared error on those. Seed 1234 is the notebook's. Wants numpy and scikit-learn, whose iterative imputer of random forests is its form of missForest.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = [1234, 1, 2]


def table():
    with open(ROOT / "examples/assets/breast-cancer.csv") as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    return (rows - rows.mean(0)) / rows.std(0)


def holes(rows, seed):
    np.random.seed(seed)
    cells = rows.size
    flat = rows.flatten()
    flat[np.random.choice(cells, cells // 2, replace=False)] = np.nan
    return flat.reshape(rows.shape)


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"x{at}" for at in range(rows.shape[1])])
        for row in rows:
            writer.writerow(["" if np.isnan(value) else repr(float(value)) for value in row])


def read(path):
    with open(path) as file:
        return np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])


def dvae(program, rows):
    """Trains on the table with holes, and fills it in: with weighted draws, and by `denoise`."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / "holes.csv", rows)
        config = ROOT / "examples/configs/miwae.toml"
        run = folder / "run"
        path = f"data.path={folder / 'holes.csv'}"
        columns = "data.columns=" + str([f"x{at}" for at in range(rows.shape[1])])
        settings = [part for setting in (path, columns, "train.epochs=500") for part in ("--set", setting)]
        common = dict(check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "train", config, *settings, "--out", run, "--quiet"], **common)
        for command, samples in [("impute", "10000"), ("denoise", "100")]:
            out = folder / f"{command}.csv"
            subprocess.run(
                [program, command, run, "--last", folder / "holes.csv", "-o", out, "--samples", samples], **common
            )
            yield f"dvae {command} ({samples} draws)", read(out)


def main():
    full = table()
    errors = {}
    for seed in SEEDS:
        rows = holes(full, seed)
        removed = np.isnan(rows)
        peers = {
            "mean": SimpleImputer(),
            "10 nearest neighbors": KNNImputer(n_neighbors=10),
            "iterative ridge": IterativeImputer(max_iter=10, random_state=0),
            "iterative random forest": IterativeImputer(RandomForestRegressor(n_estimators=100, random_state=0), max_iter=5, random_state=0),
        }
        filled = [(name, peer.fit_transform(rows)) for name, peer in peers.items()]
        for name, filled in filled + list(dvae(pathlib.Path(sys.argv[1]).resolve(), rows)):
            errors.setdefault(name, []).append(((filled - full)[removed] ** 2).mean())
    print(f"{'mean squared error':24}" + "".join(f"{'seed ' + str(seed):>10}" for seed in SEEDS) + f"{'mean':>10}")
    for name, values in errors.items():
        print(f"{name:24}" + "".join(f"{value:10.3f}" for value in values) + f"{np.mean(values):10.3f}")


if __name__ == "__main__":
    main()
