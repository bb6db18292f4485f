"""Milliseconds that NumPy, PyTorch and imagecorruptions take to corrupt 128 images, on two threads.

    pip install numpy scipy torch "setuptools<81" scikit-image opencv-python-headless
    pip install --no-deps imagecorruptions
    python benches/peers/corruption_peer.py [--repeat N] [--library numpy|torch|imagecorruptions]

Prints `library process CxHxW ms`, the median, for each library, process and shape. Where a library
cannot do a process, `-` stands for the time, and the reason goes to stderr as a comment. Images are
uniform noise. NumPy and SciPy use one thread.

imagecorruptions 1.1.2 imports pkg_resources, which newer setuptools lack; without its dependencies
it takes the headless OpenCV, which needs no libGL. It refuses images smaller than 32x32, and its
gaussian_blur passes an argument that scikit-image 0.20 and later do not know.
"""

import argparse
import itertools
import math
import statistics
import sys
import time

import numpy as np

COUNT, THREADS = 128, 2
SHAPES = [(1, 28, 28), (3, 64, 64)]

# For each process the nearest of imagecorruptions: noise of 0.26, 17 % and 9 % of salt and pepper
# (its impulses), 12 photons, blurs of sigma 1, of a trail of 21 pixels and of a disk of radius 3,
# JPEG of quality 25, blocks of 4x4.
PROCESSES = {
    "gaussian": ("gaussian_noise", 4),
    "salt-and-pepper": ("impulse_noise", 4),
    "masking": None,
    "gaussian-blur": ("gaussian_blur", 1),
    "shot": ("shot_noise", 3),
    "impulse": ("impulse_noise", 3),
    "motion-blur": ("motion_blur", 1),
    "defocus": ("defocus_blur", 1),
    "jpeg": ("jpeg_compression", 1),
    "pixelate": ("pixelate", 5),
}

RNG = np.random.default_rng(1)
DISK = np.add.outer(np.arange(-3, 4) ** 2, np.arange(-3, 4) ** 2) <= 9


def numpy_library(x):
    height, width = x.shape[2:]

    def salt_and_pepper(amount):
        u = RNG.random(x.shape, dtype=np.float32)
        return np.where(u < amount / 2, np.float32(0), np.where(u < amount, np.float32(1), x))

    def gaussian_blur():
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(x, (0, 0, 1, 1), mode="nearest", truncate=3)

    def defocus():
        padded, out = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)), "edge"), np.zeros_like(x)
        for r, c in np.argwhere(DISK):
            out += padded[..., r : r + height, c : c + width]
        return out / np.float32(DISK.sum())

    def pixelate():
        blocks = x.reshape(*x.shape[:2], height // 4, 4, width // 4, 4).mean((3, 5))
        return blocks.repeat(4, 2).repeat(4, 3)

    return {
        "gaussian": lambda: (x + 0.3 * RNG.standard_normal(x.shape, dtype=np.float32)).clip(0, 1),
        "salt-and-pepper": lambda: salt_and_pepper(0.2),
        "masking": lambda: x * (RNG.random(x.shape, dtype=np.float32) >= 0.5),
        "gaussian-blur": gaussian_blur,
        "shot": lambda: (RNG.poisson(x * 12).astype(np.float32) / 12).clip(0, 1),
        "impulse": lambda: salt_and_pepper(0.09),
        "defocus": defocus,
        "pixelate": pixelate,
    }


def torch_library(images):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    x = torch.from_numpy(images)
    channels = x.shape[1]
    bell = torch.exp(-0.5 * torch.arange(-3.0, 4.0) ** 2)
    bell /= bell.sum()
    steps = torch.arange(21.0)
    trail = torch.exp(-0.5 * (steps / 3) ** 2)
    trail /= trail.sum()
    disk = torch.from_numpy(DISK).float() / DISK.sum()

    def salt_and_pepper(amount):
        u = torch.rand_like(x)
        return torch.where(u < amount / 2, 0.0, torch.where(u < amount, 1.0, x))

    def blur(*kernels):
        # Depthwise convolution is several times as fast with channels last, or, where there is
        # only one channel, with the images as channels.
        y = F.pad(x, (3, 3, 3, 3), mode="replicate")
        one = channels == 1
        y = y.transpose(0, 1) if one else y.contiguous(memory_format=torch.channels_last)
        for kernel in kernels:
            y = F.conv2d(y, kernel.expand(y.shape[1], 1, *kernel.shape), groups=y.shape[1])
        return y.transpose(0, 1) if one else y.contiguous()

    def motion_blur():
        # An angle of up to 45 degrees, so a kernel, for each image: a group for each channel.
        angles = (torch.rand(len(x), 1) - 0.5) * math.pi / 2
        shifts = [torch.ceil(steps * part - 0.5).long() for part in (angles.sin(), angles.cos())]
        kernels = torch.zeros(len(x), 29, 21)
        where = (torch.arange(len(x))[:, None], 14 + shifts[0], shifts[1])
        kernels = kernels.index_put_(where, trail, accumulate=True).repeat_interleave(channels, 0)
        padded = F.pad(x, (0, 20, 14, 14), mode="replicate").flatten(0, 1)
        return F.conv2d(padded, kernels[:, None], groups=len(padded)).view_as(x)

    return {
        "gaussian": lambda: (x + 0.3 * torch.randn_like(x)).clamp(0, 1),
        "salt-and-pepper": lambda: salt_and_pepper(0.2),
        "masking": lambda: x * (torch.rand_like(x) >= 0.5),
        "gaussian-blur": lambda: blur(bell[:, None], bell[None]),
        "shot": lambda: (torch.poisson(x * 12) / 12).clamp(0, 1),
        "impulse": lambda: salt_and_pepper(0.09),
        "motion-blur": motion_blur,
        "defocus": lambda: blur(disk),
        "pixelate": lambda: F.interpolate(F.avg_pool2d(x, 4), scale_factor=4),
    }


def imagecorruptions_library(images):
    import cv2
    from imagecorruptions import corrupt

    cv2.setNumThreads(THREADS)
    images = np.ascontiguousarray((255 * images).astype(np.uint8).transpose(0, 2, 3, 1))

    def each(name, severity):
        return lambda: [corrupt(image, severity, name) for image in images]

    return {process: each(*how) for process, how in PROCESSES.items() if how}


LIBRARIES = {
    "numpy": numpy_library,
    "torch": torch_library,
    "imagecorruptions": imagecorruptions_library,
}


def milliseconds(library, process, shape, repeat):
    functions = LIBRARIES[library](RNG.random((COUNT, *shape), dtype=np.float32))
    if process not in functions:
        raise LookupError(f"{library} has nothing for it")
    times, warm_up = [], 2 + repeat // 10
    for i in range(warm_up + repeat):
        start = time.perf_counter()
        functions[process]()
        if i >= warm_up:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--library", choices=LIBRARIES)
    options = parser.parse_args()
    libraries = [options.library] if options.library else LIBRARIES
    for library, shape, process in itertools.product(libraries, SHAPES, PROCESSES):
        name = "x".join(map(str, shape))
        try:
            figure = f"{milliseconds(library, process, shape, options.repeat):.3f}"
        except Exception as error:  # whatever a library throws, the others still run
            figure, reason = "-", " ".join(str(error).split())
            print(f"# {library} {process} {name}: {reason}", file=sys.stderr)
        print(library, process, name, figure, flush=True)


main()
