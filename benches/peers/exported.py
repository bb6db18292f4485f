"""Exported models in PyTorch beside `dvae denoise` and `dvae embed`: the module that `--layout pytorch` writes.

    pip install torch numpy safetensors
    cargo build --release --workspace
    python benches/peers/exported.py target/release/dvae

Trains each network for two epochs, exports it, and prints the largest differences of denoised rows and of latents. What the module
saves and `dvae import` reads again must give the same rows.
"""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

MODELS = {
    "mlp": 'network = { type = "mlp", hidden = [20, 10] }\nposterior = { type = "full-normal" }',
    "conv": 'network = { type = "conv", channels = [4, 5, 3], activation = "softplus" }\n'
    'posterior = { type = "planar", flows = 3 }\nlikelihood = { type = "continuous-bernoulli" }',
    "res_net": 'network = { type = "res-net", channels = [4, 6, 4], groups = 2 }\n'
    'posterior = { type = "inverse-autoregressive", flows = 2, hidden = 8 }\n'
    'likelihood = { type = "discretized-logistic", components = 3 }',
    "ladder": 'network = { type = "ladder", channels = [4, 5, 6], activation = "silu" }\n'
    'likelihood = { type = "shared-normal" }',
    "ladder_above": 'network = { type = "ladder", channels = [4, 5, 6, 5], deterministic = 2 }\n'
    'likelihood = { type = "student-t" }',
    "deep_res_net": 'network = { type = "res-net", channels = [3, 4, 4, 4, 5] }',
    "vamp": 'network = { type = "mlp", hidden = [20] }\nprior = { type = "vamp", components = 4 }',
}
TRAINING = 'corruption = "mixed"\n[data]\nrows = 60\n[train]\nepochs = 2\nbatch_size = 16\nlearning_rate = 0.01\n'


def main():
    program = pathlib.Path(sys.argv[1]).absolute()
    folder = pathlib.Path(tempfile.mkdtemp())

    def dvae(*arguments):
        subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)

    rows = np.random.default_rng(0).random((5, 1, 28, 28)).astype("f4")
    np.save(folder / "x.npy", rows)
    worst = 0.0
    for name, model in MODELS.items():
        (folder / f"{name}.toml").write_text(f"{TRAINING}[model]\nlatent = 3\n{model}\n")
        dvae("train", f"{name}.toml", "--out", f"run-{name}", "--quiet")
        dvae("export", f"run-{name}", "-o", f"{name}.safetensors", "--layout", "pytorch")
        dvae("denoise", f"run-{name}", "x.npy", "-o", "clean.npy")
        dvae("embed", f"run-{name}", "x.npy", "-o", "latents.npy")
        spec = importlib.util.spec_from_file_location("twin", folder / f"{name}.py")
        twin = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(twin)
        with torch.no_grad():
            module = twin.load(folder / f"{name}.safetensors")
            clean = module(torch.tensor(rows)).numpy()
            means, _ = module.encode(torch.tensor(rows))
        latents = torch.cat([mean.flatten(1) for mean in means], 1).numpy()
        gaps = [
            np.abs(found.ravel() - np.load(folder / file).ravel()).max()
            for found, file in ((clean, "clean.npy"), (latents, "latents.npy"))
        ]
        twin.save(module, folder / "back.safetensors")
        dvae("import", f"{name}.toml", "back.safetensors", "-o", "again.safetensors")
        dvae("denoise", "again.safetensors", "x.npy", "-o", "again.npy")
        assert (np.load(folder / "again.npy") == np.load(folder / "clean.npy")).all(), name
        print(f"{name}: {gaps[0]:.1e} {gaps[1]:.1e}")
        worst = max(worst, *gaps)
    assert worst < 1e-5, worst


main()
