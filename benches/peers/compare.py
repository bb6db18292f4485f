"""The same training steps here and in PyTorch, in turn, on this machine.

    pip install torch numpy
    python benches/peers/compare.py [rounds]

Runs `cargo bench --workspace --bench train_step` and a PyTorch loop of the same work (Gaussian
corruption, forward, Bernoulli bound, backward, fused Adam; batch 128; two threads) in alternation, and
prints the median of each and the median of the rounds' ratios: machines are noisy, ratios of one round
less so.
"""

import os
import re
import statistics
import subprocess
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, WARM, STEPS = 128, 10, {"mlp": 150, "conv": 30}


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.mu, self.lv = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.d, self.o = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.e(x.flatten(1)))
        mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * lv)
        return self.o(F.relu(self.d(z))).view_as(x), mu, lv


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)
        self.mu, self.lv, self.d = nn.Linear(3136, 32), nn.Linear(3136, 32), nn.Linear(32, 3136)
        self.t1, self.t2 = nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 1, 4, 2, 1)

    def forward(self, x):
        h = F.relu(self.c2(F.relu(self.c1(x)))).flatten(1)
        mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * lv)
        h = F.relu(self.d(z)).view(-1, 64, 7, 7)
        return self.t2(F.relu(self.t1(h))), mu, lv


def torch_step(name, channels_last=False):
    model = {"mlp": Mlp, "conv": Conv}[name]()
    x = torch.rand(BATCH, 1, 28, 28)
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    times = []
    for step in range(WARM + STEPS[name]):
        start = time.perf_counter()
        logits, mu, lv = model((x + 0.3 * torch.randn_like(x)))
        bound = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        loss = (bound + 0.5 * (lv.exp() + mu * mu - lv - 1).sum()) / BATCH
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step >= WARM:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def ours():
    """Median milliseconds of each model on flex."""
    command = ["cargo", "bench", "-q", "--workspace", "--bench", "train_step"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    medians = {}
    for line in text.splitlines():
        name = re.search(r"─ (mlp|conv)\b", line)
        if name:
            current = name.group(1)
        if re.search(r"─ flex\b", line):
            value, unit = line.split("│")[-4].split()
            medians[current] = float(value) * {"µs": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    return medians


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(min(2, os.cpu_count()))
    results = {}
    for _ in range(rounds):
        here = ours()
        peers = {"mlp": torch_step("mlp"), "conv": torch_step("conv"), "conv, channels last": torch_step("conv", True)}
        for name, peer in peers.items():
            results.setdefault(name, []).append((here[name.split(",")[0]], peer))
    print(f"{'step, batch 128':22}{'dvae, ms':>10}{'PyTorch, ms':>13}{'PyTorch / dvae':>16}")
    for name, pairs in results.items():
        mine, peer = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(p / m for m, p in pairs)
        print(f"{name:22}{mine:10.2f}{peer:13.2f}{ratio:16.2f}")


main()
