"""What compare.py runs of JAX: the work of benches/src/bin/peer.rs, jitted whole.

    python jax_peer.py train|denoise mlp|conv BATCH 28 COUNT jit
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import lax

from median import median


def linear(key, i, o):
    return jax.random.normal(key, (i, o)) / i**0.5, jnp.zeros(o)


def kernel(key, side, i, o):
    return jax.random.normal(key, (side, side, i, o)) / (i * side * side) ** 0.5, jnp.zeros(o)


def affine(p, x):
    return x @ p[0] + p[1]


LAYOUT = ("NHWC", "HWIO", "NHWC")  # the faster one on a CPU


def conv(p, x):
    return lax.conv_general_dilated(x, p[0], (2, 2), [(1, 1)] * 2, dimension_numbers=LAYOUT) + p[1]


def transposed(p, x):
    """With the kernel the other way round, which learned weights do not mind."""
    padding = [(2, 2)] * 2
    return lax.conv_general_dilated(x, p[0], (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=LAYOUT) + p[1]


def mlp_parameters(key):
    k = jax.random.split(key, 5)
    sizes = {"e": (784, 400), "mu": (400, 20), "lv": (400, 20), "d": (20, 400), "o": (400, 784)}
    return {name: linear(k, *size) for k, (name, size) in zip(k, sizes.items())}


def mlp_encode(p, x):
    h = jax.nn.relu(affine(p["e"], x.reshape(len(x), -1)))
    return affine(p["mu"], h), affine(p["lv"], h)


def mlp_decode(p, z):
    return affine(p["o"], jax.nn.relu(affine(p["d"], z))).reshape(-1, 28, 28, 1)


def conv_parameters(key):
    k = jax.random.split(key, 7)
    return {
        "c1": kernel(k[0], 3, 1, 32), "c2": kernel(k[1], 3, 32, 64),
        "mu": linear(k[2], 3136, 32), "lv": linear(k[3], 3136, 32), "d": linear(k[4], 32, 3136),
        "t1": kernel(k[5], 4, 64, 32), "t2": kernel(k[6], 4, 32, 1),
    }


def conv_encode(p, x):
    h = jax.nn.relu(conv(p["c2"], jax.nn.relu(conv(p["c1"], x)))).reshape(len(x), -1)
    return affine(p["mu"], h), affine(p["lv"], h)


def conv_decode(p, z):
    h = jax.nn.relu(affine(p["d"], z)).reshape(-1, 7, 7, 64)
    return transposed(p["t2"], jax.nn.relu(transposed(p["t1"], h)))


def main():
    mode, model, batch, _, count, *_ = sys.argv[1:]
    batch, count = int(batch), int(count)
    parameters, encode, decode = {
        "mlp": (mlp_parameters, mlp_encode, mlp_decode),
        "conv": (conv_parameters, conv_encode, conv_decode),
    }[model]
    key = jax.random.PRNGKey(0)
    state = [parameters(key), None, key]
    x = jax.random.uniform(key, (batch, 28, 28, 1))
    adam = optax.adam(1e-3)
    state[1] = adam.init(state[0])

    def loss(p, corrupted, key):
        mu, lv = encode(p, corrupted)
        logits = decode(p, mu + jnp.exp(0.5 * lv) * jax.random.normal(key, mu.shape))
        kl = 0.5 * (jnp.exp(lv) + mu * mu - lv - 1).sum()
        return ((jax.nn.softplus(logits) - logits * x).sum() + kl) / batch

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(p, s, key):
        key, noise, latent = jax.random.split(key, 3)
        gradient = jax.grad(loss)(p, x + 0.3 * jax.random.normal(noise, x.shape), latent)
        updates, s = adam.update(gradient, s)
        return optax.apply_updates(p, updates), s, key

    run = jax.jit(lambda p: jax.nn.sigmoid(decode(p, encode(p, x)[0])))

    def train():
        state[:] = jax.block_until_ready(update(*state))

    def denoise():
        jax.block_until_ready(run(state[0]))

    print(f"{median(count, {'train': train, 'denoise': denoise}[mode]):.4f}")


main()
