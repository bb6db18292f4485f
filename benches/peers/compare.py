"""The same work here, in PyTorch and in JAX, in turn, on this machine.

    pip install torch numpy pillow jax optax
    python benches/peers/compare.py [--rounds N] [--only WORD]

Cases: training steps (Gaussian corruption, forward, Bernoulli bound, backward, Adam) and denoising of the
fully connected and the convolutional model, several batch sizes, one and two threads; an epoch of the
main example's real loop; peak memory; and start-up, the time of a program that takes two steps. Every
measurement is a process of its own. In each round all peers run one after the other, and what is printed
is the median over rounds of each, and of the ratios within a round: machines are noisy, ratios of one
round less so. `--only` keeps the cases whose name holds a word.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
STEPS = {("mlp", 32): 800, ("mlp", 128): 400, ("mlp", 512): 100, ("conv", 32): 200, ("conv", 128): 80, ("conv", 512): 20}


def run(command, threads):
    """What a process printed, its peak memory in MB, and its seconds. It sees as many cores as threads."""
    cores = sorted(os.sched_getaffinity(0))[: int(threads)]
    environment = {"RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment},
                                   preexec_fn=lambda: os.sched_setaffinity(0, cores))
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{errors.read()}")
    return float(out), usage.ru_maxrss / 1024, time.perf_counter() - start


def program():
    """Builds our side and returns where it lies."""
    build = ["cargo", "build", "--release", "--workspace", "--bins"]
    subprocess.run(build, check=True, cwd=HERE.parents[1])
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target")
    return pathlib.Path(target) / "release/peer"


def cases():
    """Name, mode, model, batch, count, threads, peers."""
    torch, channels_last = ["PyTorch eager", "PyTorch compiled"], ["PyTorch channels-last"]
    for model in ["mlp", "conv"]:
        extra = channels_last if model == "conv" else []
        for threads in ["2", "1"]:
            for batch in [32, 128, 512]:
                peers = torch + extra + ["JAX"]
                yield f"train {model} {batch} threads {threads}", "train", model, batch, STEPS[model, batch], threads, peers
        peers = torch + ["JAX"]
        yield f"denoise {model} 128 threads 2", "denoise", model, 128, 3 * STEPS[model, 128], "2", peers
    for model in ["mlp", "conv"]:
        yield f"epoch {model} 64 threads 2", "epochs", model, 64, 3, "2", ["PyTorch eager"]


def command(peer, ours, arguments):
    python = lambda file, variant: [sys.executable, HERE / file, *arguments, variant]
    return {
        "dvae": lambda: [ours, *arguments],
        "PyTorch eager": lambda: python("torch_peer.py", "eager"),
        "PyTorch compiled": lambda: python("torch_peer.py", "compile"),
        "PyTorch channels-last": lambda: python("torch_peer.py", "channels-last"),
        "JAX": lambda: python("jax_peer.py", "jit"),
    }[peer]()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    ours = program()
    row = "{:28}{:24}{:>12}{:>10}{:>12}{:>10}".format
    print(row("case", "who", "ms (epoch: s)", "÷ dvae", "peak MB", "÷ dvae"))
    for name, mode, model, batch, count, threads, peers in cases():
        if options.only not in name:
            continue
        everyone = ["dvae", *peers]
        rounds = [
            {peer: run(command(peer, ours, [mode, model, str(batch), str(count)]), threads) for peer in everyone}
            for _ in range(options.rounds)
        ]
        for peer in everyone:
            middle = lambda index, of=lambda r: 1: statistics.median(r[peer][index] / of(r) for r in rounds)
            ratio, memory = (middle(i, lambda r, i=i: r["dvae"][i]) for i in (0, 1))
            print(row(name, peer, f"{middle(0):.2f}", f"{ratio:.2f}", f"{middle(1):.0f}", f"{memory:.1f}"), flush=True)
    if options.only in "start-up":
        for model in ["mlp", "conv"]:
            everyone = ["dvae", "PyTorch eager", "PyTorch compiled", "JAX"]
            seconds = {peer: statistics.median(run(command(peer, ours, ["train", model, "128", "1"]), "2")[2] for _ in range(options.rounds)) for peer in everyone}
            for peer in everyone:
                print(row(f"start-up {model}, s", peer, f"{seconds[peer]:.2f}", f"{seconds[peer] / seconds['dvae']:.2f}", "", ""))


main()
