#!/usr/bin/env bash
# Trains, calibrates and exports the models for photographs:
#
#     crates/dvae/assets/photographs/train.sh PHOTOGRAPHS [BACKEND]
#
# PHOTOGRAPHS is a folder of clean photographs in color, BACKEND flex, wgpu or another one: on a GPU write wgpu,fusion.
set -euo pipefail
photographs=$(realpath "$1") backend=${2:-flex}
cd "$(dirname "$0")/../../../.."
cargo build --release --workspace --features "$backend"
dvae=${CARGO_TARGET_DIR:-target}/release/dvae
for model in gray color; do
    run=runs/photographs-$model
    "$dvae" train "crates/dvae/assets/photographs/$model.toml" --set data.path="$photographs" --backend "${backend%%,*}" --out "$run" \
        --resume-or-start
    "$dvae" calibrate "$run" --last
    "$dvae" export "$run" --last --half -o "crates/dvae/assets/photographs/$model.safetensors"
done
