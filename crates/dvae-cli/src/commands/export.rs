//! `dvae export`.

use std::path::{Path, PathBuf};

use dvae::Pretrained;
use dvae::train::Precision;
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{keep_data, keep_inputs};
use crate::output::{Output, path};

/// Write a model to one file that can be passed on, for other programs as ONNX or for PyTorch
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae export runs/run-001 -o model.safetensors
  dvae export runs/run-001 -o small.safetensors --half
  dvae denoise small.safetensors noisy.png -o clean.png
  dvae export runs/run-001 -o model.onnx
  dvae export runs/run-001 -o encoder.onnx --part encode
  dvae export runs/run-001 -o twin.safetensors --layout pytorch

A .safetensors file has the weights, the experiment, what its data decided and the calibration. Of the paths of the data only
the last part is kept, so that it does not say where it was trained.

An .onnx file is a graph for ONNX Runtime and other programs, from rows in the units of your files to rows in them.

With --layout pytorch the file is a state dict, and a module that has the model in PyTorch is written beside it under the same
name, with .py.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// A .safetensors or .onnx file
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Store weights in half precision: half the size; each weight keeps three digits
    #[arg(long)]
    half: bool,
    /// Names and layout of the weights
    #[arg(long, value_enum, value_name = "PROGRAM", default_value_t = Layout::Dvae)]
    layout: Layout,
    /// What a graph of ONNX computes: denoised rows, the posterior of each level from rows, or rows from latents [default: denoise]
    #[arg(long, value_enum)]
    part: Option<Part>,
}

/// What a graph computes.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    Denoise,
    Encode,
    Decode,
}

/// How weights are named and laid out.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Layout {
    /// For this program
    Dvae,
    /// For PyTorch
    Pytorch,
}

#[derive(Serialize)]
struct Summary {
    weights: usize,
    bytes: u64,
    #[serde(serialize_with = "path")]
    out: PathBuf,
    /// The source that was written for PyTorch.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let form = Form::of(args)?;
    let model = args.run.load()?;
    if !args.run.is_bundled() {
        let file = args.run.file()?;
        let folder = file.parent().unwrap_or(&file);
        let own = ["best", "last"].map(|name| folder.join(format!("{name}.safetensors")));
        keep_inputs([&*args.out], [&*file, &*own[0], &*own[1]])?;
        keep_data([&*args.out], model.experiment())?;
    }
    let mut module = None;
    match form {
        Form::Graph(part) => export_graph(&model, &args.out, part)?,
        Form::Weights(precision) => model.export(&args.out, precision)?,
        Form::StateDict => module = Some(model.export_pytorch(&args.out)?),
    }
    let bytes = std::fs::metadata(&args.out)?.len();
    let summary = Summary { weights: model.weights(), bytes, out: args.out.clone(), module };
    out.write(&summary, || {
        let (weights, out) = (model.weights(), args.out.display());
        let beside = |path: &PathBuf| format!(", and a module for them in {}", path.display());
        let also = summary.module.as_ref().map(beside).unwrap_or_default();
        format!("{weights} weights are in {out}{also}: {:.2} MB", bytes as f64 / 1e6)
    })
}

/// What is written.
enum Form {
    Weights(Precision),
    StateDict,
    Graph(Part),
}

impl Form {
    fn of(args: &Args) -> Result<Self, Error> {
        let precision = if args.half { Precision::Half } else { Precision::Single };
        let kind = args.out.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let is_graph = match kind.as_ref().and_then(|kind| kind.to_str()) {
            Some("onnx") => true,
            Some("safetensors") => false,
            _ => {
                let out = args.out.display();
                return Err(format!("{out} must end in .safetensors or .onnx").into());
            }
        };
        let refused = |text: &str| Err(text.into());
        match (is_graph, args.layout, args.part) {
            (true, Layout::Pytorch, _) => refused(
                "a graph of ONNX has no --layout: leave it out, or choose an -o that ends in .safetensors",
            ),
            (false, _, Some(_)) => {
                refused("--part is for a graph of ONNX: choose an -o that ends in .onnx")
            }
            (false, Layout::Dvae, None) => Ok(Self::Weights(precision)),
            _ if args.half => refused(
                "--half is for a .safetensors file of this program: others have weights of single precision",
            ),
            (true, Layout::Dvae, part) => Ok(Self::Graph(part.unwrap_or(Part::Denoise))),
            (false, Layout::Pytorch, None) => Ok(Self::StateDict),
        }
    }
}

#[cfg(feature = "onnx")]
fn export_graph(model: &Pretrained, file: &Path, part: Part) -> Result<(), Error> {
    let part = match part {
        Part::Denoise => dvae::GraphPart::Denoise,
        Part::Encode => dvae::GraphPart::Encode,
        Part::Decode => dvae::GraphPart::Decode,
    };
    Ok(model.export_onnx(file, part)?)
}

#[cfg(not(feature = "onnx"))]
fn export_graph(_model: &Pretrained, file: &Path, _part: Part) -> Result<(), Error> {
    let file = file.display();
    Err(format!(
        "{file}: ONNX is written by builds with the cargo feature `onnx`: add --features onnx"
    )
    .into())
}
