"""Damage to 128 images, beside NumPy, PyTorch and imagecorruptions: medians and ratios in one run.

    pip install numpy scipy torch                     # what corruption_peer.py says, for imagecorruptions
    python benches/peers/corruption.py

Runs the benchmark `corruption` and `corruption_peer.py` in turn, and prints milliseconds and how many times as
long each peer takes.
"""

import pathlib
import subprocess
import sys

from divan import medians

HERE = pathlib.Path(__file__).parent
LIBRARIES = ["numpy", "torch", "imagecorruptions"]
NAMES = {"gaussian": "gaussian:0.3", "salt-and-pepper": "salt-and-pepper:0.2", "masking": "masking:0.5",
         "gaussian-blur": "gaussian-blur:1", "shot": "shot:0.083", "impulse": "salt-and-pepper:0.09",
         "motion-blur": "motion-blur:20", "defocus": "defocus:2.5", "jpeg": "jpeg:2", "pixelate": "pixelate:4"}


def peers():
    """Median milliseconds by (shape, process, library)."""
    command = [sys.executable, HERE / "corruption_peer.py"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return {(shape, NAMES[process], library): float(value)
            for library, process, shape, value in rows if value != "-"}


def main():
    own, other = medians("corruption"), peers()
    heads = "".join(f"{library:>24}" for library in LIBRARIES)
    print(f"{'128 images':30}{'dvae':>8}{heads}")
    for (shape, process), mine in own.items():
        if process not in NAMES.values():
            continue
        cells = []
        for library in LIBRARIES:
            theirs = other.get((shape, process, library))
            cells.append("" if theirs is None else f"{theirs:.2f} ({theirs / mine:.1f}×)")
        print(f"{shape + ' ' + process:30}{mine:8.2f}" + "".join(f"{cell:>24}" for cell in cells))


main()
