"""The same denoising VAEs in PyTorch, from the same weights, batches and noise.

    pip install torch numpy pillow
    python benches/peers/twin.py > crates/dvae-train/tests/fixtures/twin.json

Everything random is computed again here, from the published definition of Philox 4x32-10 and the
documentation of dvae-random (keys, layout, laws), with NumPy's logarithm and cosine. So the fixture
checks the streams, the weights, the shuffle, the corruption, the networks, the bound, the gradients
and Adam at once, against code that shares nothing with the Rust crates but their documentation.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

ASSETS = pathlib.Path(__file__).parents[2] / "crates/dvae-data/assets/fashion-mnist"
WEIGHTS, SHUFFLE, CORRUPTION, LATENT = 1, 2, 4, 5  # dvae_random::Purpose
PURPOSE, EPOCH = 1, 2  # steps of a key's derivation
M32 = 0xFFFFFFFF
SEED, BATCH, STEPS = 7, 32, 20


def philox(counter, key):
    """Philox 4x32-10 of counters [4, n] under one key."""
    c = [np.asarray(word, np.uint64) for word in counter]
    k = list(key)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        hi0, lo0 = p0 >> np.uint64(32), p0 & np.uint64(M32)
        hi1, lo1 = p1 >> np.uint64(32), p1 & np.uint64(M32)
        c = [hi1 ^ c[1] ^ np.uint64(k[0]), lo1, hi0 ^ c[3] ^ np.uint64(k[1]), lo0]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


def derive(key, value, step):
    words = philox([[value & M32], [value >> 32], [step], [M32]], key)
    return int(words[0][0]), int(words[1][0])


def key_of(purpose, epoch=None):
    key = derive((SEED & M32, SEED >> 32), purpose, PURPOSE)
    return key if epoch is None else derive(key, epoch, EPOCH)


def words(key, row, draw, n):
    """Four words for each of 16 lanes of each block: [blocks, 4, 16]."""
    counters = -(-n // 64) * 16
    block = np.arange(counters, dtype=np.uint64)
    w = philox([block, np.full_like(block, row & M32), np.full_like(block, row >> 32),
                np.full_like(block, draw)], key)
    return np.stack([word.reshape(-1, 16) for word in w], axis=1)


def uniform(key, row, draw, n):
    return ((words(key, row, draw, n) >> np.uint64(8)) / 2.0**24).reshape(-1)[:n]


def normal(key, row, draw, n):
    u = (words(key, row, draw, n) >> np.uint64(8)) / 2.0**24
    radius = np.sqrt(-2 * np.log(u[:, [0, 2]] + 2.0**-24))
    angle = 2 * np.pi * u[:, [1, 3]]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)
    return pairs.reshape(-1)[:n]


def permutation(key, n):
    index = np.arange(n, dtype=np.uint64)
    zero = np.zeros_like(index)
    w = philox([zero, index, zero, zero], key)
    return np.argsort((w[0] << np.uint64(32)) | w[1], kind="stable")


def rows(law, ids):
    return torch.tensor(np.stack([law(int(row)) for row in ids]), dtype=torch.float32)


class Weights:
    """Glorot-uniform weights, each with a stream of its own; biases 0."""

    def __init__(self):
        self.key, self.next, self.all = key_of(WEIGHTS), 0, []

    def layer(self, shape, fan_in, fan_out, outputs, gain=1.0, bias=0.0):
        limit = gain * (6.0 / (fan_in + fan_out)) ** 0.5
        u = uniform(self.key, self.next, 0, int(np.prod(shape)))
        self.next += 1
        weight = torch.tensor((u * 2 - 1) * limit, dtype=torch.float32).reshape(shape)
        bias = torch.full((outputs,), bias)
        self.all += [weight.requires_grad_(), bias.requires_grad_()]
        return weight, bias

    def linear(self, i, o):
        return self.layer((i, o), i, o, o)

    def conv(self, i, o):
        return self.layer((o, i, 3, 3), i * 9, o * 9 // 4, o)

    def map(self, i, o, kernel=3, gain=1.0, stride=1):
        area = kernel**2
        return self.layer((o, i, kernel, kernel), i * area, o * area // stride**2, o, gain)

    def small(self, i, o, bias=0.0):
        return self.layer((i, o), i, o, o, 0.1, bias)

    def transposed(self, i, o):
        return self.layer((i, o, 4, 4), i * 16 // 4, o * 16, o)


def affine(x, layer):
    return x @ layer[0] + layer[1]


class Flat:
    """A model with one level: logits and KL from the encoder's input and the noise of each level."""

    def terms(self, x, noise):
        mean, log_variance = self.encode(x)
        logits = self.decode(mean + (0.5 * log_variance).exp() * noise(0, mean.shape[1]))
        return logits, 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()


class Mlp(Flat):
    def __init__(self, latent=20, hidden=400):
        w = self.w = Weights()
        self.e, self.mu, self.lv = w.linear(784, hidden), w.linear(hidden, latent), w.linear(hidden, latent)
        self.d, self.o = w.linear(latent, hidden), w.linear(hidden, 784)

    def encode(self, x):
        h = F.relu(affine(x, self.e))
        return affine(h, self.mu), affine(h, self.lv)

    def decode(self, z):
        return affine(F.relu(affine(z, self.d)), self.o)


class Conv(Flat):
    def __init__(self, latent=8, channels=(8, 16)):
        w, (a, b) = Weights(), channels
        self.w, self.b = w, b
        self.c1, self.c2 = w.conv(1, a), w.conv(a, b)
        self.mu, self.lv = w.linear(b * 49, latent), w.linear(b * 49, latent)
        self.d = w.linear(latent, b * 49)
        self.t1, self.t2 = w.transposed(b, a), w.transposed(a, 1)

    def encode(self, x):
        h = F.relu(F.conv2d(x.view(-1, 1, 28, 28), *self.c1, stride=2, padding=1))
        h = F.relu(F.conv2d(h, *self.c2, stride=2, padding=1)).flatten(1)
        return affine(h, self.mu), affine(h, self.lv)

    def decode(self, z):
        h = F.relu(affine(z, self.d).view(-1, self.b, 7, 7))
        h = F.relu(F.conv_transpose2d(h, *self.t1, stride=2, padding=1))
        return F.conv_transpose2d(h, *self.t2, stride=2, padding=1).flatten(1)


def bounded(x):
    return 8 * torch.tanh(x / 8)


class Ladder:
    """Levels of maps: docs/latents.md."""

    def __init__(self, latent=2, channels=(4, 6)):
        w, self.latent, levels = Weights(), latent, len(channels)
        self.w, self.levels = w, levels

        def block(c):
            return w.map(c, c), w.map(c, c, gain=0.1)

        before = (1, *channels)
        self.up = []
        for level in range(levels):
            stride = 1 if level == 0 else 2
            self.up.append((w.map(before[level], channels[level], stride=stride), stride, block(channels[level])))
        self.heads = {}
        for level in reversed(range(levels)):
            c = channels[level]
            if level == levels - 1:
                self.heads[level] = (w.linear(c, latent), w.linear(c, latent)), None
                continue
            mean, log_variance = w.linear(2 * c, latent), w.small(2 * c, latent, bias=-4.0)
            self.heads[level] = (mean, log_variance), (w.small(c, latent), w.small(c, latent))
        self.down = {}
        for level in reversed(range(levels)):
            c = channels[level]
            merge, blocks = w.map(latent, c), block(c)
            below = w.map(c, channels[level - 1], kernel=1) if level else None
            self.down[level] = merge, blocks, below
        self.last = w.map(channels[0], 1)

    @staticmethod
    def at_places(x, layer):
        return F.conv2d(x, layer[0].T[:, :, None, None], layer[1])

    @staticmethod
    def block(x, layers):
        inner = F.conv2d(F.relu(x), *layers[0], padding=1)
        return x + F.conv2d(F.relu(inner), *layers[1], padding=1)

    def terms(self, x, noise):
        h, features = x.view(-1, 1, 28, 28), []
        for conv, stride, blocks in self.up:
            h = self.block(F.conv2d(h, *conv, stride=stride, padding=1), blocks)
            features.append(F.relu(h))
        context, kl = None, 0
        for place, level in enumerate(reversed(range(self.levels))):
            (mean, log_variance), prior = self.heads[level]
            seen = features[level] if context is None else torch.cat([features[level], context], 1)
            mean, log_variance = self.at_places(seen, mean), self.at_places(seen, log_variance)
            distance, log_ratio = mean, log_variance
            if prior is not None:
                prior_mean, prior_log_variance = (self.at_places(context, head) for head in prior)
                prior_log_variance, log_ratio = bounded(prior_log_variance), bounded(log_ratio)
                mean = prior_mean + distance * (0.5 * prior_log_variance).exp()
                log_variance = prior_log_variance + log_ratio
            kl = kl + 0.5 * (distance**2 + log_ratio.exp() - 1 - log_ratio).sum()
            draw = noise(place, mean[0].numel()).view(mean.shape)
            z = mean + (0.5 * log_variance).exp() * draw
            merge, blocks, below = self.down[level]
            h = F.conv2d(z, *merge, padding=1)
            h = self.block(h if context is None else h + context, blocks)
            if below is not None:
                context = F.conv2d(F.interpolate(F.relu(h), scale_factor=2.0), *below)
        return F.conv2d(F.relu(h), *self.last, padding=1).flatten(1), kl


def gaussian(x, key, ids):
    return (x + 0.3 * rows(lambda row: normal(key, row, 0, 784), ids)).clamp(0, 1)


def masking(x, key, ids):
    return x * (rows(lambda row: uniform(key, row, 0, 784), ids) >= 0.5)


def salt_and_pepper(x, key, ids):
    u = rows(lambda row: uniform(key, row, 0, 784), ids)
    return torch.where(u < float(np.float32(0.1)), 1.0, torch.where(u < float(np.float32(0.2)), 0.0, x))


def train(model, corrupt, images):
    """The loss, in nats a row, before each of the first steps of the first epoch."""
    adam = torch.optim.Adam(model.w.all, lr=1e-3)
    order = permutation(key_of(SHUFFLE, 0), len(images))
    losses = []
    for step in range(STEPS):
        ids = order[step * BATCH:(step + 1) * BATCH]
        x = images[ids]
        noise = lambda draw, n: rows(lambda row: normal(key_of(LATENT, 0), row, draw, n), ids)
        logits, kl = model.terms(corrupt(x, key_of(CORRUPTION, 0), ids), noise)
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        loss = (reconstruction + kl) / len(ids)
        losses.append(round(loss.item(), 5))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return losses


def main():
    strip = np.array(Image.open(ASSETS / "train.png"))
    images = torch.tensor(strip.reshape(-1, 784).astype(np.float32) / 255)[:BATCH * STEPS]
    torch.set_num_threads(2)
    runs = [("mlp", Mlp, "gaussian:0.3", gaussian), ("mlp", Mlp, "salt-and-pepper:0.2", salt_and_pepper),
            ("conv", Conv, "masking:0.5", masking), ("ladder", Ladder, "masking:0.5", masking)]
    twins = [{"model": name, "corruption": text, "losses": train(model(), corrupt, images)}
             for name, model, text, corrupt in runs]
    print(json.dumps({"torch": torch.__version__.split("+")[0], "seed": SEED, "batch_size": BATCH, "twins": twins}, indent=1))


main()
