"""Reads the table that a benchmark of this project prints."""

import pathlib
import re
import subprocess

UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}


def medians(bench):
    """Median milliseconds by (shape, argument); benchmarks are called `of_<shape>`."""
    command = ["cargo", "bench", "--workspace", "--bench", bench]
    here = pathlib.Path(__file__).parent
    text = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout
    found, shape = {}, None
    for line in text.splitlines():
        if heading := re.search(r"─ of_(\S+)", line):
            shape = heading[1]
        elif row := re.search(r"─ (\S+) +(.*)", line):
            value, unit = row[2].split("│")[2].split()
            found[shape, row[1]] = float(value) * UNITS[unit]
    return found
