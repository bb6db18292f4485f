//! Graphs of ONNX compute what the model does: asked of ONNX Runtime, by a Python that `DVAE_PYTHON` names and that has
//! `onnx` and `onnxruntime`. Where it is not set, graphs are written alone.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dvae::train::Interrupt;
use dvae::{Experiment, GraphPart, PictureOptions, Pretrained, Run, Weights};
use serde_json::{Value, json};

/// Trains a model for a few steps.
fn trained(folder: &Path, name: &str, experiment: &str) -> Pretrained {
    let file = folder.join(format!("{name}.toml"));
    let train =
        "[train]\nepochs = 4\nbatch_size = 16\nlearning_rate = 0.01\nmax_gradient_norm = 10.0\n";
    std::fs::write(&file, format!("{experiment}\n{train}")).unwrap();
    let experiment = Experiment::load(Some(&file), &[]).unwrap();
    let mut run = Run::create_at(&experiment, folder.join(name)).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    run.model(Weights::Last, None).unwrap()
}

/// Writes numbers for Python.
fn array(path: PathBuf, numbers: &[f64], shape: &[usize]) -> Value {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(&path, bytes).unwrap();
    json!({ "path": path, "shape": shape })
}

/// What Python shall compare of a model on these rows: its three graphs with what the model itself makes.
fn cases(folder: &Path, name: &str, model: &Pretrained, rows: &[Vec<f64>]) -> Vec<Value> {
    let place = |suffix: &str| folder.join(format!("{name}-{suffix}"));
    let file = |part: GraphPart| {
        let file = place(&format!("{part:?}.onnx"));
        model.export_onnx(&file, part).unwrap();
        file
    };
    let count = rows.len();
    let of_rows = [&[count], model.event()].concat();
    let x = array(place("x"), &rows.concat(), &of_rows);
    let denoised = array(place("denoised"), &model.denoise(rows).concat(), &of_rows);
    let latents = model.embed(rows);
    let mean = array(place("mean"), &model.decode(&latents).concat(), &of_rows);
    let (mut start, mut levels) = (0, vec![]);
    for (level, shape) in model.levels().iter().enumerate() {
        let own = latents.iter().flat_map(|row| &row[start..start + shape.len()]);
        let own: Vec<f64> = own.map(|&z| f64::from(z)).collect();
        let axes = match *shape {
            dvae::distributions::LatentShape::Vector(n) => vec![count, n],
            dvae::distributions::LatentShape::Map { channels, height, width } => {
                vec![count, channels, height, width]
            }
        };
        levels.push(array(place(&format!("z{level}")), &own, &axes));
        start += shape.len();
    }
    let named = |prefix: &str| -> Value {
        let named = levels.iter().enumerate();
        named
            .map(|(level, value)| (format!("{prefix}_{level}"), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let case = |part, inputs: Value, outputs: Value| json!({ "name": format!("{name} {part:?}"), "model": file(part), "inputs": inputs, "outputs": outputs });
    // Rows from latents have the total of the configuration, and those of the model that of their rows.
    let decodes = !model.experiment().model.likelihood.needs_totals();
    let mut cases = vec![
        case(GraphPart::Denoise, json!({ "x": x }), json!({ "denoised": denoised })),
        case(GraphPart::Encode, json!({ "x": x }), named("mean")),
    ];
    if decodes {
        cases.push(case(GraphPart::Decode, named("z"), json!({ "mean": mean })));
    }
    cases
}

/// A picture of other sides than those of the training.
fn picture(folder: &Path, model: &Pretrained, [height, width]: [usize; 2]) -> Value {
    let file = folder.join(format!("{height}x{width}.onnx"));
    model.export_onnx(&file, GraphPart::Denoise).unwrap();
    let values: Vec<f64> = (0..height * width).map(|at| (at * 37 % 101) as f64 / 100.0).collect();
    let shape = [1, height, width];
    let (expected, _) = model.denoise_values(shape, PictureOptions::default(), &values);
    let axes = [1, 1, height, width];
    let place = |name: &str| folder.join(format!("{height}x{width}-{name}"));
    let x = array(place("x"), &values, &axes);
    let denoised = array(place("denoised"), &expected, &axes);
    let name = format!("a picture of {height} × {width}");
    json!({ "name": name, "model": file, "inputs": { "x": x }, "outputs": { "denoised": denoised } })
}

fn compare(folder: &Path, cases: &[Value]) {
    let list = folder.join("cases.json");
    std::fs::write(&list, serde_json::to_vec(cases).unwrap()).unwrap();
    let Some(python) = std::env::var_os("DVAE_PYTHON") else {
        eprintln!("DVAE_PYTHON is not set: ONNX Runtime was not asked");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx_runtime.py");
    let output = Command::new(python).arg(script).arg(list).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Images of the embedded set, a few of them with what was not observed.
fn images(model: &Pretrained) -> Vec<Vec<f64>> {
    let width: usize = model.event().iter().product();
    let row = |row: usize| (0..width).map(move |at| (at * (row + 3) % 97) as f64 / 96.0);
    let mut rows: Vec<Vec<f64>> = (0..5).map(|at| row(at).collect()).collect();
    rows[1][100..140].fill(f64::NAN);
    rows
}

#[test]
fn graphs_of_images_compute_what_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let models = [
        (
            "mlp",
            "network = { type = \"mlp\", hidden = [20, 10] }\nposterior = { type = \"full-normal\" }",
        ),
        (
            "conv",
            "network = { type = \"conv\", channels = [4, 5, 3], activation = \"softplus\" }\n\
          posterior = { type = \"planar\", flows = 3 }\nlikelihood = { type = \"continuous-bernoulli\" }",
        ),
        (
            "res-net",
            "network = { type = \"res-net\", channels = [4, 6, 4], groups = 2 }\n\
          posterior = { type = \"inverse-autoregressive\", flows = 2, hidden = 8 }\n\
          likelihood = { type = \"discretized-logistic\", components = 3 }",
        ),
        (
            "logistic",
            "network = { type = \"mlp\" }\nlikelihood = { type = \"discretized-logistic\" }",
        ),
        (
            "ladder",
            "network = { type = \"ladder\", channels = [4, 5, 6], activation = \"silu\" }\n\
          likelihood = { type = \"shared-normal\" }",
        ),
        ("deep", "network = { type = \"ladder\", channels = [4, 5, 6, 5], deterministic = 2 }"),
    ];
    let mut all = vec![];
    for (name, model) in models {
        let experiment =
            format!("corruption = \"mixed\"\n[data]\nrows = 60\n[model]\nlatent = 3\n{model}");
        let model = trained(folder.path(), name, &experiment);
        all.extend(cases(folder.path(), name, &model, &images(&model)));
        if name == "ladder" {
            all.extend(
                [[28, 28], [1, 1], [7, 31], [41, 24]]
                    .map(|sides| picture(folder.path(), &model, sides)),
            );
        }
    }
    compare(folder.path(), &all);
}

/// Columns of all kinds, with holes, and a date in seconds.
fn table(path: &Path) {
    let mut text = "size,price,rooms,town,grade,new,seconds\n".to_owned();
    for at in 0..120usize {
        let hole = |every: usize, text: String| if at % every == 4 { String::new() } else { text };
        let size = hole(5, format!("{:.1}", 20.0 + (at * 13 % 40) as f64));
        let price = hole(7, format!("{:.2}", 2.0 * 1.1f64.powi((at % 50) as i32)));
        let town = hole(6, ["Ulm", "Bonn", "Trier"][at * 7 % 3].to_owned());
        let grade = hole(9, ["low", "mid", "high"][at * 5 % 3].to_owned());
        let seconds = 1_700_000_000 + at * 61;
        writeln!(
            text,
            "{size},{price},{},{town},{grade},{},{seconds}",
            at % 5 + 1,
            ["no", "yes"][at % 2]
        )
        .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn graphs_of_tables_compute_what_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    table(&path);
    let mut all = vec![];
    for (name, scaling) in [("kinds", ""), ("ranks", "scaling = \"ranks\"\n")] {
        let experiment = format!(
            "corruption = \"masking:0.3\"\n[data]\nsource = \"csv\"\npath = {path:?}\n{scaling}\
             kinds = {{ size = \"numeric\", price = \"positive\", rooms = \"count\", grade = {{ ordinal = [\"low\", \"mid\", \"high\"] }}, seconds = \"numeric\" }}\n\
             [model]\nlatent = 3\nnetwork = {{ type = \"table\", hidden = [16] }}\nlikelihood = {{ type = \"student-t\" }}"
        );
        let model = trained(folder.path(), name, &experiment);
        let options = model.read_options();
        let rows = dvae::data::read_rows(&path, &options).unwrap();
        let mut rows: Vec<Vec<f64>> = rows.map(|row| row.unwrap().values()).take(20).collect();
        // Numbers beyond those of the training, on both sides.
        for (row, number) in [-1e3, 0.0, 1e4].into_iter().enumerate() {
            rows[row][0] = number;
            rows[row][1] = number;
        }
        all.extend(cases(folder.path(), name, &model, &rows));
    }
    compare(folder.path(), &all);
}

#[test]
fn graphs_of_arrays_compute_what_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.csv");
    let mut text = "a,b,c,d\n".to_owned();
    for at in 0..80usize {
        writeln!(text, "{},{},{},{}", at % 7, at * 3 % 11, at % 3, 5 + at % 40).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let of_counts = [
        "poisson\"",
        "negative-binomial\"",
        "zero-inflated-negative-binomial\"",
        "proportions\", of = { type = \"negative-binomial\" }",
        "proportions\", of = { type = \"zero-inflated-negative-binomial\" }",
    ];
    let of_numbers = [
        "normal\", scale = 1.0",
        "learned-normal\"",
        "laplace\", scale = 1.0",
        "learned-laplace\"",
        "optimal-normal\"",
        "poisson-gaussian\", gain = 0.1, offset = 1.0",
        "self-masking\", of = { type = \"learned-normal\" }",
    ];
    let mut all = vec![];
    for (at, likelihood) in of_counts.iter().chain(&of_numbers).enumerate() {
        let is_count = at < of_counts.len();
        let corruption = if is_count { "binomial-thinning:0.5" } else { "masking:0.2" };
        let data = if is_count { "domain = \"counts\"" } else { "scaling = \"min-max\"" };
        let experiment = format!(
            "corruption = \"{corruption}\"\n[data]\nsource = \"csv\"\npath = {path:?}\n{data}\n[model]\nlatent = 2\n\
             network = {{ type = \"mlp\", hidden = [8] }}\nlog_input = {is_count}\nlikelihood = {{ type = \"{likelihood} }}"
        );
        let name = format!("{at}");
        let model = trained(folder.path(), &name, &experiment);
        let rows: Vec<Vec<f64>> =
            (0..6).map(|row| (0..4).map(|at| ((row * 5 + at * 3) % 17) as f64).collect()).collect();
        all.extend(cases(
            folder.path(),
            &format!("{at} {likelihood}").replace(['"', '{', '}', ' ', '=', ','], "-"),
            &model,
            &rows,
        ));
    }
    compare(folder.path(), &all);
}
