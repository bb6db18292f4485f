"""How training by several processes scales: measured here, and modeled for more machines.

    python benches/peers/scaling.py target/release/dvae [--rounds 5]

The program must have been built with `--features mpi`. One and two processes, of one thread each, train the same experiments. A
step's time is the difference of two trainings, divided by the steps that the longer one has more, so that the start does not count.
Strong scaling keeps the step: two batches, which one process makes in turn and two make side by side. Weak scaling keeps the work of
a process: one batch. Beside them stand two trainings that know nothing of each other, at the same time: what the machine allows.
Medians of rounds.

The model is that of α and β (Hockney 1994, "The communication challenge for MPP"): a message of n bytes takes α + β n. A step of n
processes takes that of one process, what two take here beyond two that know nothing of each other (copies of the gradient, and waiting for the slower
one), and the network: parts to each other process and their sums around a ring, as long as a ring's all-reduce; beside it
all-reduce by halving and doubling, and a reduction and a broadcast by binomial trees (Thakur, Rabenseifner & Gropp 2005, "Optimization of
Collective Communication Operations in MPICH"); each with the small messages of a step, by trees. The networks' α and β are assumed, and so is that more processes wait no longer than two.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

FULLY_CONNECTED = {"model.network": '{ type = "mlp", hidden = [512, 512] }', "model.latent": 32}
# Name: settings, rows of a batch, and epochs of the shorter and the longer training.
EXPERIMENTS = {
    "fully connected, 784-512-512-32, batches of 128": (FULLY_CONNECTED, 128, (1, 65)),
    "fully connected, 784-512-512-32, batches of 512": (FULLY_CONNECTED, 512, (1, 33)),
    "ladder of three levels, 16-32-32, batches of 32": (
        {
            "model.network": '{ type = "ladder", channels = [16, 32, 32] }',
            "model.latent": 4,
            "model.likelihood": '{ type = "shared-normal", min_scale = 0.02, initial_scale = 0.1 }',
            "train.max_gradient_norm": 500.0,
        },
        32,
        (1, 13),
    ),
}
# Steps in an epoch: the embedded set has rows for so many of two batches of 512.
STEPS = 4
# α in seconds, β in seconds for a byte: assumed.
NETWORKS = {"10 Gb/s Ethernet": (30e-6, 1 / 1.25e9), "100 Gb/s InfiniBand": (2e-6, 1 / 12.5e9)}
RANKS = [2, 4, 8, 16, 32, 64]
# Small messages to all, in a step.
SMALL = 6


def command(program, settings, batch, accumulate, epochs, ranks, out):
    """The command of a training with STEPS steps of `accumulate` batches in an epoch."""
    rows = STEPS * accumulate * batch
    held_out = 32
    settings = {
        "corruption": "gaussian:0.3",
        "data.rows": rows + held_out,
        "data.validation": held_out / (rows + held_out),
        "train.epochs": epochs,
        "train.batch_size": batch,
        "train.accumulate": accumulate,
        "train.validate": "{ epochs = 1000 }",
        "train.checkpoint": "{ epochs = 1000 }",
        **settings,
    }
    words = [program, "train", "--out", str(out), "--quiet"]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    if ranks == 1:
        return words
    return ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *words]


def seconds(commands):
    """The time that commands take, side by side."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    start = time.perf_counter()
    running = [subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for words in commands]
    for words, process in zip(commands, running):
        errors = process.communicate()[1]
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(words)}\n{errors.decode()}")
    return time.perf_counter() - start


def step(program, experiment, accumulate, ranks, beside=1):
    """Seconds of a step; of `beside` trainings at the same time."""
    settings, batch, lengths = experiment
    taken = []
    for epochs in lengths:
        with tempfile.TemporaryDirectory() as folder:
            outs = [pathlib.Path(folder) / str(at) for at in range(beside)]
            taken.append(seconds([command(program, settings, batch, accumulate, epochs, ranks, out) for out in outs]))
    return (taken[1] - taken[0]) / ((lengths[1] - lengths[0]) * STEPS)


def weights(program, experiment):
    settings, batch, _ = experiment
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        seconds([command(program, settings, batch, 1, 1, 1, out)])
        found = subprocess.run([program, "info", str(out), "--json"], check=True, capture_output=True, text=True)
        return json.loads(found.stdout)["weights"]


def network(how, ranks, count, alpha, beta):
    """Seconds that the gradients of `count` weights take on their way, with one batch for each process."""
    length, tree = 4 * count, math.log2(ranks)
    shared = 2 * (ranks - 1) / ranks * length * beta
    large = {
        "ring": 2 * (ranks - 1) * alpha + shared,
        "halving": 2 * tree * alpha + shared,
        "trees": 2 * tree * (alpha + length * beta),
    }
    return large[how] + SMALL * tree * alpha


def modeled(one, beyond, count):
    print("  modeled: milliseconds of a step with one batch for each process, and its efficiency")
    print(f"    {'processes':28}" + "".join(f"{ranks:13}" for ranks in RANKS))
    for name, (alpha, beta) in NETWORKS.items():
        for how in ("ring", "halving", "trees"):
            cells = []
            for ranks in RANKS:
                total = one + beyond + network(how, ranks, count, alpha, beta)
                cells.append(f"{1000 * total:8.1f} {one / total:4.2f}")
            print(f"    {name + ', ' + how:28}" + "".join(cells))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    for name, experiment in EXPERIMENTS.items():
        count = weights(given.program, experiment)
        rounds = []
        for _ in range(given.rounds):
            rounds.append({
                "one": step(given.program, experiment, 1, 1),
                "beside": step(given.program, experiment, 1, 1, beside=2),
                "in turn": step(given.program, experiment, 2, 1),
                "together": step(given.program, experiment, 2, 2),
            })

        def median(of):
            return statistics.median(map(of, rounds))

        times = {key: median(lambda times: times[key]) for key in rounds[0]}
        one, beside, in_turn, together = (1000 * time for time in times.values())
        print(f"{name}: {count:,} weights")
        print(f"  one process: one batch {one:.1f} ms, two batches {in_turn:.1f} ms")
        print(f"  two processes: {together:.1f} ms; two trainings side by side {beside:.1f} ms")
        print(f"  strong scaling at 2: {median(lambda times: times['in turn'] / times['together']):.2f} times as fast")
        print(f"  weak scaling at 2: {median(lambda times: times['one'] / times['together']):.2f} of the pace", end="")
        print(f" (of the two side by side: {median(lambda times: times['one'] / times['beside']):.2f})")
        print(f"  sent by a process in a step: {4e-6 * count:.2f} MB of two, {2 * 63 / 64 * 4e-6 * count:.2f} MB of 64")
        modeled(times["one"], max(0.0, times["together"] - times["beside"]), count)


main()
