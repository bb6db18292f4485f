"""The same work here, in PyTorch and in JAX, in turn, on this machine.

    pip install torch numpy pillow jax optax
    python benches/peers/compare.py [--rounds N] [--only WORD] [--gpu] [--program PATH]

Cases: training steps (Gaussian corruption, forward, Bernoulli bound, backward, Adam) and denoising of the
fully connected model, the convolutional one and the ladder, several batch sizes, one and two threads; an epoch
of the main example's real loop; peak memory; and start-up, the time of a program that takes two steps. With
`--gpu`, steps and denoising by wgpu and by CUDA, without memory. Every measurement is a process of its own. In
each round all peers run one after the other, and what is printed is the median over rounds of each, and of the
ratios within a round: machines are noisy, ratios of one round less so. `--only` keeps the cases whose name holds
a word; `--program` is our side, already built.
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
EAGER, COMPILED, CHANNELS_LAST = "PyTorch eager", "PyTorch compiled", "PyTorch channels-last"


def run(command, threads):
    """What a process printed, its peak memory in MB, and its seconds. It sees as many cores as threads."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    environment = {f"{library}_NUM_THREADS": str(threads) for library in ["RAYON", "OMP", "MKL"]}
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


def program(features):
    """Builds our side and returns where it lies."""
    build = ["cargo", "build", "--release", "--workspace", "--bins", *features]
    subprocess.run(build, check=True, cwd=HERE.parents[1])
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target")
    return pathlib.Path(target) / "release/peer"


def cases():
    """Name, mode, model, batch, side, count, threads, peers."""
    for model in ["mlp", "conv"]:
        peers = [EAGER, COMPILED] + ([CHANNELS_LAST] if model == "conv" else []) + ["JAX"]
        for threads in [2, 1]:
            for batch in [32, 128, 512]:
                yield f"train {model} {batch}", "train", model, batch, 28, STEPS[model, batch], threads, peers
        yield f"denoise {model} 128", "denoise", model, 128, 28, 3 * STEPS[model, 128], 2, [EAGER, COMPILED, "JAX"]
    for model in ["mlp", "conv"]:
        yield f"epoch {model} 64", "epochs", model, 64, 28, 3, 2, [EAGER]
    peers = [EAGER, COMPILED, CHANNELS_LAST]
    for threads in [2, 1]:
        yield "train ladder 64", "train", "ladder", 64, 28, 20, threads, peers
        yield "train ladder 16 of 64 x 64", "train", "ladder", 16, 64, 20, threads, peers
        yield "denoise ladder 1 of 1024 x 1024", "denoise", "ladder", 1, 1024, 5, threads, peers


def gpu_cases():
    """The same on a GPU, with more steps and larger batches."""
    for model, batches in {"mlp": [128, 1024], "conv": [128, 1024], "ladder": [64, 512]}.items():
        peers = [EAGER, COMPILED] + ([CHANNELS_LAST] if model != "mlp" else [])
        for batch in batches:
            yield f"train {model} {batch}", "train", model, batch, 28, 100, 2, peers
    yield "train ladder 16 of 64 x 64", "train", "ladder", 16, 64, 100, 2, peers
    yield "denoise ladder 1 of 1024 x 1024", "denoise", "ladder", 1, 1024, 30, 2, peers


def command(peer, ours, gpu, arguments):
    python = lambda file, *rest: [sys.executable, HERE / file, *arguments, *rest]
    device = "cuda" if gpu else "cpu"
    return {
        "dvae": lambda: [ours, *arguments, "wgpu" if gpu else "flex"],
        EAGER: lambda: python("torch_peer.py", "eager", device),
        COMPILED: lambda: python("torch_peer.py", "compile", device),
        CHANNELS_LAST: lambda: python("torch_peer.py", "channels-last", device),
        "JAX": lambda: python("jax_peer.py", "jit"),
    }[peer]()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--program", type=pathlib.Path)
    options = parser.parse_args()
    ours = options.program or program(["--features", "wgpu"] if options.gpu else [])
    measure = lambda peer, threads, *arguments: run(command(peer, ours, options.gpu, [str(a) for a in arguments]), threads)
    row = "{:44}{:24}{:>12}{:>10}{:>12}{:>10}".format
    print(row("case", "who", "ms (epoch: s)", "÷ dvae", "peak MB", "÷ dvae"))
    for name, mode, model, batch, side, count, threads, peers in gpu_cases() if options.gpu else cases():
        name += "" if options.gpu else f", threads {threads}"
        if options.only not in name:
            continue
        everyone = ["dvae", *peers]
        rounds = [{peer: measure(peer, threads, mode, model, batch, side, count) for peer in everyone} for _ in range(options.rounds)]
        for peer in everyone:
            middle = lambda index, of=lambda r: 1: statistics.median(r[peer][index] / of(r) for r in rounds)
            ratio, memory = (middle(i, lambda r, i=i: r["dvae"][i]) for i in (0, 1))
            peak = ("", "") if options.gpu else (f"{middle(1):.0f}", f"{memory:.1f}")
            print(row(name, peer, f"{middle(0):.2f}", f"{ratio:.2f}", *peak), flush=True)
    if options.only in "start-up" and not options.gpu:
        for model in ["mlp", "conv"]:
            everyone = ["dvae", EAGER, COMPILED, "JAX"]
            starts = lambda peer: [measure(peer, 2, "train", model, 128, 28, 1)[2] for _ in range(options.rounds)]
            seconds = {peer: statistics.median(starts(peer)) for peer in everyone}
            for peer in everyone:
                print(row(f"start-up {model}, s", peer, f"{seconds[peer]:.2f}", f"{seconds[peer] / seconds['dvae']:.2f}", "", ""))


main()
