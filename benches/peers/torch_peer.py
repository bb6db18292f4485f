"""What compare.py runs of PyTorch: the work of benches/src/bin/peer.rs, in the usual way.

    python torch_peer.py train|denoise|epochs mlp|conv BATCH COUNT eager|compile|channels-last
"""

import json
import math
import os
import pathlib
import sys
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from median import median

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.mu, self.lv = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.d, self.o = nn.Linear(20, 400), nn.Linear(400, 784)

    def encode(self, x):
        h = F.relu(self.e(x.flatten(1)))
        return self.mu(h), self.lv(h)

    def decode(self, z):
        return self.o(F.relu(self.d(z))).view(-1, 1, 28, 28)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)
        self.mu, self.lv, self.d = nn.Linear(3136, 32), nn.Linear(3136, 32), nn.Linear(32, 3136)
        self.t1, self.t2 = nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 1, 4, 2, 1)

    def encode(self, x):
        h = F.relu(self.c2(F.relu(self.c1(x)))).flatten(1)
        return self.mu(h), self.lv(h)

    def decode(self, z):
        h = F.relu(self.d(z)).view(-1, 64, 7, 7)
        return self.t2(F.relu(self.t1(h)))


def terms(model, clean, corrupted):
    """Reconstruction and KL, summed over rows, in nats."""
    mu, lv = model.encode(corrupted)
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * lv)
    reconstruction = F.binary_cross_entropy_with_logits(model.decode(z), clean, reduction="sum")
    return reconstruction, 0.5 * (lv.exp() + mu * mu - lv - 1).sum()


def train(model, batch, count, variant):
    x = torch.rand(batch, 1, 28, 28)
    if variant == "channels-last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def loss():
        reconstruction, kl = terms(model, x, x + 0.3 * torch.randn_like(x))
        return (reconstruction + kl) / batch

    compiled = torch.compile(loss) if variant == "compile" else loss

    def step():
        adam.zero_grad()
        compiled().backward()
        adam.step()

    return median(count, step)


def denoise(model, batch, count, variant):
    x = torch.rand(batch, 1, 28, 28)
    run = lambda: torch.sigmoid(model.decode(model.encode(x)[0]))
    run = torch.compile(run) if variant == "compile" else run
    with torch.inference_mode():
        return median(count, run)


def salt_and_pepper(x):
    u = torch.rand_like(x)
    return torch.where(u < 0.1, 0.0, torch.where(u < 0.2, 1.0, x))


PROCESSES = [
    lambda x: (x + 0.3 * torch.randn_like(x)).clamp(0, 1),
    lambda x: x * (torch.rand_like(x) >= 0.5),
    salt_and_pepper,
]


def mixed(x):
    """One of clean, Gaussian, masking, and salt and pepper for each row."""
    which = torch.randint(0, 4, (len(x),))
    out = x.clone()
    for i, process in enumerate(PROCESSES):
        rows = (which == i).nonzero().squeeze(1)
        out[rows] = process(x[rows])
    return out


def epochs(model, batch, count, _):
    """Seconds of an epoch: gather, scale, corrupt, train, metrics, validation, checkpoint."""
    from PIL import Image
    import numpy as np

    assets = pathlib.Path(__file__).parents[2] / "crates/dvae-data/assets/fashion-mnist"
    images = torch.tensor(np.array(Image.open(assets / "train.png")).reshape(-1, 1, 28, 28))
    held_out, images = images[:250], images[250:]
    adam = torch.optim.Adam(model.parameters(), 2e-3, fused=True)
    steps = math.ceil(len(images) / batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps * count, 1e-4)
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name)
    start = time.perf_counter()
    for epoch in range(count):
        sums = torch.zeros(2)
        for rows in torch.randperm(len(images)).split(batch):
            x = images[rows].float() / 255
            reconstruction, kl = terms(model, x, mixed(x))
            adam.zero_grad()
            ((reconstruction + kl) / len(x)).backward()
            adam.step()
            schedule.step()
            sums += torch.stack([reconstruction, kl]).detach()
        figures = {"train": (sums / len(images)).tolist()}
        with torch.inference_mode():
            for name, corrupt in [("clean", lambda x: x), ("corrupted", mixed)]:
                total = torch.zeros(2)
                for rows in held_out.split(batch):
                    x = rows.float() / 255
                    total += torch.stack(terms(model, x, corrupt(x)))
                figures[name] = (total / len(held_out)).tolist()
        with open(path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(figures) + "\n")
        torch.save({"model": model.state_dict(), "adam": adam.state_dict()}, path / f"{epoch}.pt")
    return (time.perf_counter() - start) / count


mode, model, batch, count, variant = sys.argv[1:]
run = {"train": train, "denoise": denoise, "epochs": epochs}[mode]
print(f"{run({'mlp': Mlp, 'conv': Conv}[model](), int(batch), int(count), variant):.4f}")
