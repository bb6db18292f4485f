"""Damage to 128 images, beside NumPy, PyTorch and imagecorruptions: medians and ratios in one run.

    pip install numpy scipy torch                     # what corruption_peer.py says, for imagecorruptions
    python benches/peers/corruption.py

Runs the benchmark `corruption` and `corruption_peer.py` in turn, and prints milliseconds and how many times as
long each peer takes.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
LIBRARIES = ["numpy", "torch", "imagecorruptions"]
NAMES = {"gaussian": "gaussian:0.3", "salt-and-pepper": "salt-and-pepper:0.2", "masking": "masking:0.5",
         "gaussian-blur": "gaussian-blur:1", "shot": "shot:0.083", "impulse": "salt-and-pepper:0.09",
         "motion-blur": "motion-blur:20", "defocus": "defocus:2.5", "jpeg": "jpeg:2", "pixelate": "pixelate:4"}


def ours():
    """Median milliseconds by (shape, process), from divan's table."""
    command = ["cargo", "bench", "--workspace", "--bench", "corruption"]
    text = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout
    medians, shape = {}, None
    for line in text.splitlines():
        if heading := re.search(r"of_(\d+x\d+x\d+)", line):
            shape = heading[1]
        elif row := re.search(r"─ (\S+:\S+) +(.*)", line):
            value, unit = row[2].split("│")[2].split()
            medians[shape, row[1]] = float(value) * UNITS[unit]
    return medians


def peers():
    """Median milliseconds by (shape, process, library)."""
    command = [sys.executable, HERE / "corruption_peer.py"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return {(shape, NAMES[process], library): float(value)
            for library, process, shape, value in rows if value != "-"}


def main():
    own, other = ours(), peers()
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
