"""Reading the same files into memory: Pillow, tifffile, NumPy and pandas beside this project.

    pip install numpy pandas pillow tifffile
    python benches/peers/reading.py

Runs the benchmark `reading`, then reads its files, and prints milliseconds and how many times as long the peer takes.
"""

import os
import pathlib
import tempfile

import numpy as np
import pandas as pd
import tifffile
from PIL import Image

from divan import medians
from median import median


def pictures(folder, one):
    return np.stack([one(path) for path in sorted(folder.iterdir())])


PEERS = {
    "png": ("Pillow", lambda path: pictures(path, lambda file: np.asarray(Image.open(file)))),
    "jpg": ("Pillow", lambda path: pictures(path, lambda file: np.asarray(Image.open(file)))),
    "tif": ("tifffile", lambda path: pictures(path, tifffile.imread)),
    "bytes.npy": ("NumPy", np.load),
    "doubles.npy": ("NumPy", np.load),
    "table.csv": ("pandas", pd.read_csv),
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVAE_READING"] = folder
        own = medians("reading")
        print(f"{'':14}{'dvae, ms':>10}{'peer, ms':>10}{'times':>8}")
        for (_, name), mine in own.items():
            peer, read = PEERS[name]
            theirs = median(12, lambda: read(pathlib.Path(folder) / name))
            print(f"{name:14}{mine:10.1f}{theirs:10.1f}{theirs / mine:8.1f}  {peer}")


main()
