"""What compare.py runs of PyTorch: the work of benches/src/bin/peer.rs, in the usual way.

    python torch_peer.py train|denoise|epochs mlp|conv|ladder BATCH SIDE COUNT eager|compile|channels-last cpu|cuda
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


def divergence(mu, lv):
    return 0.5 * (lv.exp() + mu * mu - lv - 1).sum()


class Flat(nn.Module):
    """One vector of latents."""

    def forward(self, x, noise=True):
        """Logits and KL, summed over rows, in nats; at posterior means without noise."""
        mu, lv = self.encode(x)
        if not noise:
            return self.decode(mu), None
        return self.decode(mu + torch.randn_like(mu) * torch.exp(0.5 * lv)), divergence(mu, lv)


class Mlp(Flat):
    def __init__(self):
        super().__init__()
        self.e, self.mu, self.lv = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.d, self.o = nn.Linear(20, 400), nn.Linear(400, 784)

    def encode(self, x):
        h = F.relu(self.e(x.flatten(1)))
        return self.mu(h), self.lv(h)

    def decode(self, z):
        return self.o(F.relu(self.d(z))).view(-1, 1, 28, 28)


class Conv(Flat):
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


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x):
        return x + self.second(F.relu(self.first(F.relu(x))))


class Ladder(nn.Module):
    """Levels of 16, 32 and 32 channels, finest first, and 4 latents at each place, as dvae's default."""

    def __init__(self, widths=(16, 32, 32), latents=4):
        super().__init__()
        top = len(widths) - 1
        each = lambda make: nn.ModuleList(make(i) for i in range(len(widths)))
        self.rungs = each(lambda i: nn.Conv2d(widths[i - 1] if i else 1, widths[i], 3, 2 if i else 1, 1))
        self.up, self.steps = (each(lambda i: Block(widths[i])) for _ in range(2))
        self.posteriors = each(lambda i: nn.Conv2d(widths[i] * (1 if i == top else 2), 2 * latents, 1))
        self.priors = each(lambda i: nn.Identity() if i == top else nn.Conv2d(widths[i], 2 * latents, 1))
        self.merges = each(lambda i: nn.Conv2d(latents, widths[i], 3, 1, 1))
        self.down = each(lambda i: nn.Conv2d(widths[i], widths[i - 1], 1) if i else nn.Identity())
        self.last = nn.Conv2d(widths[0], 1, 3, 1, 1)

    def forward(self, x, noise=True):
        """Logits and KL, summed over rows and levels, in nats; at posterior means without noise."""
        features = []
        for rung, block in zip(self.rungs, self.up):
            x = block(rung(x))
            features.append(F.relu(x))
        bounded = lambda x: 8 * torch.tanh(x / 8)
        context, kl = None, None
        for i in reversed(range(len(features))):
            if context is None:
                mu, lv = self.posteriors[i](features[i]).chunk(2, 1)
                kl = divergence(mu, lv) if noise else None
            else:
                prior_mu, prior_lv = self.priors[i](context).chunk(2, 1)
                prior_lv = bounded(prior_lv)
                shift, ratio = self.posteriors[i](torch.cat([context, features[i]], 1)).chunk(2, 1)
                ratio = bounded(ratio)
                kl = kl + divergence(shift, ratio) if noise else None
                mu, lv = prior_mu + shift * torch.exp(0.5 * prior_lv), prior_lv + ratio
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * lv) if noise else mu
            x = self.merges[i](z)
            x = F.relu(self.steps[i](x if context is None else x + context))
            if i:
                height, width = features[i - 1].shape[2:]
                context = F.interpolate(self.down[i](x), scale_factor=2)[..., :height, :width]
        return self.last(x), kl


def terms(model, clean, corrupted):
    """Reconstruction and KL, summed over rows, in nats."""
    logits, kl = model(corrupted)
    return F.binary_cross_entropy_with_logits(logits, clean, reduction="sum"), kl


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def train(model, batch, side, count, variant, device):
    x = torch.rand(batch, 1, side, side, device=device)
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
        synchronize(device)

    return median(count, step)


def denoise(model, batch, side, count, variant, device):
    x = torch.rand(batch, 1, side, side, device=device)
    if variant == "channels-last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    run = lambda: torch.sigmoid(model(x, noise=False)[0])
    run = torch.compile(run) if variant == "compile" else run

    def step():
        run()
        synchronize(device)

    with torch.inference_mode():
        return median(count, step)


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


def epochs(model, batch, _side, count, _variant, _device):
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


mode, model, batch, side, count, variant, device = sys.argv[1:]
run = {"train": train, "denoise": denoise, "epochs": epochs}[mode]
model = {"mlp": Mlp, "conv": Conv, "ladder": Ladder}[model]().to(device)
print(f"{run(model, int(batch), int(side), int(count), variant, device):.4f}")
