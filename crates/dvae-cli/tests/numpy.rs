//! NumPy and TensorBoard on the other side. Needs a Python with both, named by `DVAE_PYTHON`; where that is not
//! set, only what is said of it is checked.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::path::Path;
use std::process::Command;

use common::{ok, trained};

/// Runs a program in Python; nothing where there is none.
fn python(folder: &Path, program: &str) -> Option<()> {
    let python = std::env::var_os("DVAE_PYTHON")?;
    let output = Command::new(python).current_dir(folder).args(["-c", program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

#[test]
fn arrays_of_numpy_are_read_and_ours_are_read_by_numpy() {
    let folder = trained();
    let made = python(
        folder.path(),
        "
import numpy as np
rng = np.random.default_rng(1)
x = rng.random((7, 28, 28))
np.save('f8.npy', x)
np.save('f4.npy', x.astype('f4'))
np.save('big.npy', x.astype('>f4'))
np.save('u1.npy', (x * 255).astype('u1'))
np.savez('stored.npz', x=x)
np.savez_compressed('packed.npz', x=x.astype('f4'), other=np.arange(3))
np.save('fortran.npy', np.asfortranarray(x))
",
    );
    if made.is_none() {
        eprintln!("DVAE_PYTHON is not set: NumPy was not asked");
        return;
    }
    for (input, key) in [
        ("f8.npy", None),
        ("f4.npy", None),
        ("big.npy", None),
        ("u1.npy", None),
        ("stored.npz", None),
        ("packed.npz", Some("x")),
        ("fortran.npy", None),
    ] {
        let output = format!("out-{input}").replace(".npz", ".npy");
        let mut arguments = vec!["denoise", "run", input, "-o", &output];
        arguments.extend(key.iter().flat_map(|key| ["--key", *key]));
        ok(folder.path(), &arguments);
    }
    ok(folder.path(), &["embed", "run", "f4.npy", "-o", "z.npy"]);
    python(
        folder.path(),
        "
import numpy as np
a = np.load('out-f4.npy')
assert a.shape == (7, 28, 28) and a.dtype == np.float32 and a.flags['C_CONTIGUOUS']
for name in ['f8', 'big', 'stored', 'packed', 'fortran']:
    b = np.load(f'out-{name}.npy')
    assert b.shape == a.shape and np.abs(a - b).max() < 1e-5, name
u = np.load('out-u1.npy')
assert u.dtype == np.uint8 and u.shape == (7, 28, 28) and u.max() > 0
assert np.load('z.npy').shape == (7, 4)
",
    )
    .unwrap();
}

#[test]
fn tensorboard_opens_the_events_of_a_run_and_of_one_that_was_resumed() {
    let folder = trained();
    // As if the process had died before its last checkpoint.
    std::fs::remove_dir_all(folder.path().join("run/checkpoints/step-00000027")).unwrap();
    ok(folder.path(), &["train", "--resume", "run", "--quiet"]);
    let asked = python(
        folder.path(),
        "
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import json
events = EventAccumulator('run/events')
events.Reload()
lines = [json.loads(line) for line in open('run/metrics.jsonl')]
assert len(lines) == 3
for tag, value in [('train/loss', lambda r: r['train']['loss']),
                   ('held_out_corrupted/elbo', lambda r: r['validation']['corrupted']['elbo'])]:
    scalars = events.Scalars(tag)
    assert [s.step for s in scalars] == [r['step'] for r in lines], scalars
    for scalar, line in zip(scalars, lines):
        assert abs(scalar.value - value(line)) < 1e-3 * abs(value(line))
",
    );
    if asked.is_none() {
        eprintln!("DVAE_PYTHON is not set: TensorBoard was not asked");
    }
}

#[test]
fn weights_are_read_by_the_safetensors_of_python() {
    let folder = trained();
    let asked = python(
        folder.path(),
        "
from safetensors import safe_open
with safe_open('run/best.safetensors', 'numpy') as file:
    assert 'type = \"mlp\"' in file.metadata()['config']
    assert file.get_tensor('network.encoder.0.weight').shape == (784, 32)
",
    );
    if asked.is_none() {
        eprintln!("DVAE_PYTHON is not set: safetensors was not asked");
    }
}
