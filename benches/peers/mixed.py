"""Missing cells of tables of numbers and classes, filled in by dvae and by what people use.

    python benches/peers/mixed.py target/release/dvae TABLE.csv… [--set KEY=VALUE]…

Of each table a further fifth of the observed cells is removed at random, for three seeds, and scored: the root of the mean squared
error of a column in units of its standard deviation, as a mean over the columns of numbers (lower is better), and the share of
right classes as a mean over the columns of classes (higher is better). Which columns are classes is what `dvae table` proposes.
missForest (Stekhoven & Bühlmann 2012) is a loop of scikit-learn's random forests, regressors and classifiers. Needs numpy and
scikit-learn.
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import KNNImputer

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = [1, 2, 3]
# Of the training, in batches of 32 rows.
STEPS = 4000
CLASSES = ("binary", "ordinal", "categorical")


class Table:
    """The modelled columns of a file as numbers, classes by their places in the alphabet; NaN is missing."""

    def __init__(self, path, program):
        found = subprocess.run([program, "table", path, "--json"], check=True, capture_output=True, text=True)
        kinds = {column["name"]: column["kind"] for column in json.loads(found.stdout)[0]["columns"]}
        with open(path) as file:
            self.lines = list(csv.reader(file))
        self.places = [at for at, name in enumerate(self.lines[0]) if kinds[name] not in ("pass-through", "ignore")]
        self.is_class = [kinds[self.lines[0][at]] in CLASSES for at in self.places]
        self.classes = []
        for at, is_class in zip(self.places, self.is_class):
            texts = {line[at] for line in self.lines[1:]} - {"", "NA"}
            self.classes.append(sorted(texts) if is_class else None)
        self.cells = self.numbers(self.lines[1:])

    def numbers(self, lines):
        def number(text, classes):
            if text in ("", "NA"):
                return np.nan
            return float(text) if classes is None else classes.index(text)

        return np.array([[number(line[at], of) for at, of in zip(self.places, self.classes)] for line in lines], float)

    def without(self, removed):
        """The lines of the file, with these cells empty."""
        lines = [list(line) for line in self.lines]
        for row, column in zip(*np.nonzero(removed)):
            lines[row + 1][self.places[column]] = ""
        return lines

    def scores(self, filled, removed):
        errors, rights = [], []
        for column, is_class in enumerate(self.is_class):
            rows = removed[:, column]
            truth, found = self.cells[rows, column], filled[rows, column]
            if is_class:
                rights.append(np.mean(truth == found))
            else:
                errors.append(np.sqrt(np.mean((truth - found) ** 2)) / np.nanstd(self.cells[:, column]))
        return np.mean(errors), np.mean(rights) if rights else np.nan


def simple(rows, is_class):
    filled = rows.copy()
    for column in range(rows.shape[1]):
        seen = rows[~np.isnan(rows[:, column]), column]
        value = np.bincount(seen.astype(int)).argmax() if is_class[column] else seen.mean()
        filled[np.isnan(rows[:, column]), column] = value
    return filled


def neighbors(rows, is_class):
    """Ten nearest neighbors by numbers in units of their deviation and one-hot classes."""
    parts = []
    for column in range(rows.shape[1]):
        cells = rows[:, column]
        if is_class[column]:
            hot = (cells[:, None] == np.arange(np.nanmax(cells) + 1)[None]).astype(float) / np.sqrt(2)
            hot[np.isnan(cells)] = np.nan
            parts.append(hot)
        else:
            parts.append(((cells - np.nanmean(cells)) / np.nanstd(cells))[:, None])
    found = KNNImputer(n_neighbors=10).fit_transform(np.hstack(parts))
    filled, start = rows.copy(), 0
    for column, part in enumerate(parts):
        values = found[:, start : start + part.shape[1]]
        start += part.shape[1]
        cells = rows[:, column]
        whole = values.argmax(1) if is_class[column] else values[:, 0] * np.nanstd(cells) + np.nanmean(cells)
        filled[np.isnan(cells), column] = whole[np.isnan(cells)]
    return filled


def forests(rows, is_class):
    """missForest: each column from all others, those with the fewest holes first, until it changes no more."""
    missing = np.isnan(rows)
    filled, last = simple(rows, is_class), np.inf
    for _ in range(10):
        before = filled.copy()
        for column in np.argsort(missing.sum(0)):
            holes = missing[:, column]
            if not holes.any():
                continue
            forest = RandomForestClassifier if is_class[column] else RandomForestRegressor
            others = np.delete(filled, column, 1)
            forest = forest(n_estimators=100, random_state=0, n_jobs=2)
            forest.fit(others[~holes], rows[~holes, column])
            filled[holes, column] = forest.predict(others[holes])
        scale = np.where(is_class, 1, np.nanstd(rows, 0))
        change = (((filled - before) / scale) ** 2).sum()
        if change >= last:
            return before
        last = change
    return filled


def dvae(program, table, removed):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "holes.csv", "w", newline="") as file:
            csv.writer(file).writerows(table.without(removed))
        epochs = round(STEPS * 32 / len(table.cells))
        settings = [f"data.path={folder / 'holes.csv'}", f"train.epochs={epochs}"]
        settings = [part for setting in settings for part in ("--set", setting)]
        command = [program, "train", ROOT / "examples/configs/mixed.toml", *settings, *SETTINGS]
        subprocess.run([*command, "--out", folder / "run", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        command = [program, "impute", folder / "run", folder / "holes.csv", "-o", folder / "filled.csv"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(folder / "filled.csv") as file:
            filled = table.numbers(list(csv.reader(file))[1:])
    # A line of which nothing is known stays as it is.
    return np.where(np.isnan(filled), simple(np.where(removed, np.nan, table.cells), table.is_class), filled)


FILES = [argument for argument in sys.argv[2:] if argument.endswith(".csv")]
SETTINGS = sys.argv[2 + len(FILES) :]


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    for path in FILES:
        table = Table(path, program)
        found = {}
        for seed in SEEDS:
            observed = ~np.isnan(table.cells)
            removed = observed & (np.random.default_rng(seed).random(observed.shape) < 0.2)
            rows = np.where(removed, np.nan, table.cells)
            ways = {
                "mean or mode": lambda: simple(rows, table.is_class),
                "10 nearest neighbors": lambda: neighbors(rows, table.is_class),
                "missForest": lambda: forests(rows, table.is_class),
                "dvae impute": lambda: dvae(program, table, removed),
            }
            for way, fill in ways.items():
                found.setdefault(way, []).append(table.scores(fill(), removed))
        print(pathlib.Path(path).name)
        for way, scores in found.items():
            each = "  ".join(f"{error:.3f} {right:.3f}" for error, right in scores)
            error, right = np.mean(scores, 0)
            print(f"  {way:22} error {error:.3f}  right {right:.3f}   ({each})", flush=True)


if __name__ == "__main__":
    main()
