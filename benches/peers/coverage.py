"""How many of the numbers that were removed from tables lie in the intervals of 95 % of `dvae impute --intervals`.

    python benches/peers/coverage.py target/release/dvae TABLE.csv… [--seeds N] [--set KEY=VALUE]…

Numbers are removed in three ways: each with the same probability (20 %), by the number of the row in the column that has the fewest
holes, and by the number itself: of z, in standard deviations from the mean, with the probability σ(z − 1.5). For the last one, the
model is trained without a law of what is missing, and with `self-masking`. Needs numpy and scikit-learn, as mixed.py does.
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("program", type=pathlib.Path)
parser.add_argument("tables", nargs="+")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--set", action="append", default=[], dest="settings")
ARGS = parser.parse_args()
sys.argv[1:] = []
import mixed  # noqa: E402 (it reads arguments of its own)

MASKING = 'model.likelihood={ type = "self-masking", missing = "large", of = { type = "learned-normal", min_scale = 0.02 } }'


def removed_by(kind, table, rng):
    observed, numbers = ~np.isnan(table.cells), ~np.array(table.is_class)
    z = np.nan_to_num((table.cells - np.nanmean(table.cells, 0)) / np.nanstd(table.cells, 0))
    rate = np.full(observed.shape, 0.2)
    if kind == "at random, given a column":
        places = np.nonzero(numbers)[0]
        decider = places[np.argmax(observed[:, places].sum(0))]
        rate = np.repeat((1 / (1 + np.exp(1.5 - z[:, decider])))[:, None], observed.shape[1], 1)
        rate[:, decider] = 0
    elif kind == "not at random":
        rate = 1 / (1 + np.exp(1.5 - z))
    return observed & numbers & (rng.random(observed.shape) < rate)


def held(program, table, removed, settings):
    """Whether each removed number lies in its interval."""
    settings = [part for setting in settings for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "holes.csv", "w", newline="") as file:
            csv.writer(file).writerows(table.without(removed))
        train = [program, "train", mixed.ROOT / "examples/configs/mixed.toml", "--set", f"data.path={folder / 'holes.csv'}"]
        subprocess.run([*train, *settings, "--out", folder / "run", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        sure = [program, "impute", folder / "run", folder / "holes.csv", "-o", folder / "sure.csv", "--intervals"]
        subprocess.run(sure, check=True, stdout=subprocess.DEVNULL)
        with open(folder / "sure.csv") as file:
            head, *lines = csv.reader(file)
    found = []
    for column, (place, is_class) in enumerate(zip(table.places, table.is_class)):
        name = table.lines[0][place]
        if is_class or f"{name}_low" not in head:
            continue
        low, high = head.index(f"{name}_low"), head.index(f"{name}_high")
        for row in np.nonzero(removed[:, column])[0]:
            if lines[row][low]:
                found.append(float(lines[row][low]) <= table.cells[row, column] <= float(lines[row][high]))
    return found


def main():
    program = ARGS.program.resolve()
    for path in ARGS.tables:
        table = mixed.Table(path, program)
        epochs = [f"train.epochs={round(mixed.STEPS * 32 / len(table.cells))}"]
        ways = [
            ("completely at random", []),
            ("at random, given a column", []),
            ("not at random", []),
            ("not at random", [MASKING]),
        ]
        for kind, own in ways:
            shares, cells = [], 0
            for seed in range(ARGS.seeds):
                removed = removed_by(kind, table, np.random.default_rng(seed + 7))
                found = held(program, table, removed, [*epochs, *own, *ARGS.settings])
                shares.append(np.mean(found))
                cells += len(found)
            each = "  ".join(f"{100 * share:.1f}" for share in shares)
            law = ", self-masking" if own else ""
            print(f"{pathlib.Path(path).name:28} {kind + law:38} {100 * np.mean(shares):5.1f} %  of {cells} ({each})", flush=True)


if __name__ == "__main__":
    main()
