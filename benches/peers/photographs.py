"""The models for photographs beside what people use: PSNR in decibels and SSIM, and how much intervals of 95 % hold.

    python benches/peers/photographs.py target/release/dvae FOLDER [--color]

FOLDER holds clean pictures (PNG). Each gets clipped Gaussian noise of 15, 25 and 50 of 255 in a file of eight bits, which all
methods read. BM3D is told the noise, and total variation has the best of six weights; the others estimate the noise. Needs numpy,
pillow, scikit-image, PyWavelets and bm3d.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import bm3d
import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet, estimate_sigma

TV_WEIGHTS = (0.05, 0.08, 0.1, 0.15, 0.2, 0.3)


def read(path):
    return np.asarray(Image.open(path)).astype(float) / 255


def scores(clean, cleaned):
    cleaned = np.round(np.clip(cleaned, 0, 1) * 255) / 255
    axis = -1 if clean.ndim == 3 else None
    return [
        peak_signal_noise_ratio(clean, cleaned, data_range=1),
        structural_similarity(clean, cleaned, data_range=1, channel_axis=axis),
    ]


def classical(noisy, sigma):
    axis = -1 if noisy.ndim == 3 else None
    own = estimate_sigma(noisy, channel_axis=axis, average_sigmas=axis is not None)
    tell = bm3d.bm3d_rgb if axis else bm3d.bm3d
    search = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * own, "sigma": own}
    cleaned = {
        "wavelet": denoise_wavelet(noisy, rescale_sigma=True, channel_axis=axis, convert2ycbcr=axis is not None),
        "non-local means": denoise_nl_means(noisy, fast_mode=False, channel_axis=axis, **search),
        "BM3D": tell(noisy, sigma),
    }
    for weight in TV_WEIGHTS:
        cleaned[f"tv {weight}"] = denoise_tv_chambolle(noisy, weight=weight, channel_axis=axis)
    return cleaned


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dvae")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--color", action="store_true")
    arguments = arguments.parse_args()
    mode = "RGB" if arguments.color else "L"
    files = sorted(arguments.folder.glob("*.png"))
    # A gray picture tells nothing of colors.
    files = [file for file in files if mode == "L" or Image.open(file).mode in ("RGB", "RGBA")]
    print(", ".join(file.stem for file in files))
    for level in (15, 25, 50):
        generator = np.random.default_rng(level)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "noisy").mkdir()
            clean = {}
            for file in files:
                clean[file.name] = np.asarray(Image.open(file).convert(mode)).astype(float) / 255
                shape = clean[file.name].shape
                noisy = clean[file.name] + generator.normal(0, level / 255, shape)
                noisy = np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
                Image.fromarray(noisy).save(folder / "noisy" / file.name)
            ways = {"model": [], "model, --flips": ["--flips"], "interval": ["--interval", "0.95"]}
            for way, options in ways.items():
                command = [arguments.dvae, "denoise", "photographs", folder / "noisy", "-o", folder / way]
                subprocess.run([*command, *options], check=True, capture_output=True)
            found, held = {}, []
            for name, truth in clean.items():
                noisy = read(folder / "noisy" / name)
                cleaned = {"noisy": noisy, **classical(noisy, level / 255)}
                cleaned |= {way: read(folder / way / name) for way in ("model", "model, --flips")}
                for way, picture in cleaned.items():
                    found.setdefault(way, []).append(scores(truth, picture))
                stem, half = name[:-4], 0.5 / 255
                low, high = [read(folder / "interval" / f"{stem}-{end}.png") for end in ("low", "high")]
                held.append(np.mean((truth >= low - half) & (truth <= high + half)))
            means = {way: np.mean(each, 0) for way, each in found.items()}
            best = max((way for way in means if way.startswith("tv ")), key=lambda way: means[way][0])
            means["total variation"] = means[best]
            for way, (psnr, ssim) in means.items():
                if not way.startswith("tv "):
                    print(f"{level:3} {way:18} {psnr:6.2f} {ssim:.3f}", flush=True)
            print(f"{level:3} held by 95 %: {np.mean(held):.3f}, from {np.min(held):.3f} to {np.max(held):.3f}")


if __name__ == "__main__":
    main()
