#!/usr/bin/env bash
# Trains, calibrates and exports the models for photographs, each in two parts:
#
#     crates/dvae/assets/photographs/train.sh PHOTOGRAPHS [BACKEND]
#
# PHOTOGRAPHS is a folder of clean photographs in color, BACKEND flex, wgpu or another one: on a GPU write wgpu,fusion. Started
# again, it goes on where it stopped.
set -euo pipefail
photographs=$(realpath "$1") backend=${2:-flex}
cd "$(dirname "$0")/../../../.."
cargo build --release --workspace --features "$backend"
dvae=${CARGO_TARGET_DIR:-target}/release/dvae
for model in gray color; do
    for part in "$model" "$model-2"; do
        "$dvae" train "crates/dvae/assets/photographs/$part.toml" --set data.path="$photographs" --backend "${backend%%,*}" \
            --out "runs/photographs-$part" --resume-or-start
    done
    run=runs/photographs-$model-2
    "$dvae" calibrate "$run" --last
    "$dvae" export "$run" --last --half -o "crates/dvae/assets/photographs/$model.safetensors"
done
