"""A small U-Net that regresses clean images on damaged ones, beside the main example: the same images, the same damages.

    pip install torch numpy pillow
    python benches/peers/unet.py [SECONDS] [STEPS]

It trains for SECONDS (60) on mini-batches of 16 rows, with a learning rate that falls along a cosine over STEPS (as many
as there is time for, measured first), and prints the mean over the 1,000 test rows of the peak signal-to-noise ratio,
clean and under each damage. It has no density, no samples and no uncertainty.
"""

import math
import sys
import time
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

FASHION = Path(__file__).parents[2] / "crates/dvae-data/assets/fashion-mnist"
WIDTHS = [16, 32, 48]
BATCH = 16


def images(name):
    strip = numpy.array(Image.open(FASHION / name), dtype=numpy.float32)
    return torch.from_numpy(strip.reshape(-1, 1, 28, 28) / 255)


def damaged(x, damage):
    if damage == "gaussian, sigma 0.3":
        return (x + 0.3 * torch.randn_like(x)).clamp(0, 1)
    if damage == "masking, rate 0.5":
        return x * (torch.rand_like(x) < 0.5)
    if damage == "salt and pepper, rate 0.2":
        u = torch.rand_like(x)
        return torch.where(u < 0.1, 0.0, torch.where(u < 0.2, 1.0, x))
    return x


DAMAGES = ["none", "gaussian, sigma 0.3", "masking, rate 0.5", "salt and pepper, rate 0.2"]


def mixed(x):
    """One of the damages, or none, for each row."""
    which = torch.randint(len(DAMAGES), (len(x), 1, 1, 1))
    out = x
    for i, damage in enumerate(DAMAGES):
        out = torch.where(which == i, damaged(x, damage), out)
    return out


class UNet(torch.nn.Module):
    def __init__(self):
        super().__init__()

        def pair(first, middle, last):
            layers = [torch.nn.Conv2d(first, middle, 3, padding=1), torch.nn.ReLU()]
            return torch.nn.Sequential(*layers, torch.nn.Conv2d(middle, last, 3, padding=1), torch.nn.ReLU())

        a, b, c = WIDTHS
        self.down = torch.nn.ModuleList([pair(1, a, a), pair(a, b, b)])
        self.middle = pair(b, c, b)
        self.up = torch.nn.ModuleList([pair(2 * b, b, a), pair(2 * a, a, a)])
        self.last = torch.nn.Conv2d(a, 1, 3, padding=1)

    def forward(self, x):
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.middle(x)
        for layer in self.up:
            x = layer(torch.cat([kept.pop(), F.interpolate(x, scale_factor=2.0)], 1))
        return self.last(x)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    torch.manual_seed(1)
    train, test = images("train.png")[:4750], images("test.png")
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

    def step():
        x = train[torch.randint(len(train), (BATCH,))]
        loss = F.mse_loss(model(mixed(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    began = time.monotonic()
    for _ in range(10):
        step()
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else int(10 * seconds / (time.monotonic() - began))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, 1e-4)
    began = time.monotonic()
    for _ in range(steps):
        step()
        schedule.step()
    weights = sum(weight.numel() for weight in model.parameters())
    print(f"{weights} weights, {steps} steps, {time.monotonic() - began:.1f} s")
    with torch.no_grad():
        for damage in DAMAGES:
            clean, out = test, model(damaged(test, damage))
            squared = ((out - clean) ** 2).flatten(1).mean(1)
            print(f"{damage:26} {(-10 * squared.log10()).mean():.2f} dB")


if __name__ == "__main__":
    main()
