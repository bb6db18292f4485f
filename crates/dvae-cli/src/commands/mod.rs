//! The commands, one per file: arguments and implementation.

pub(crate) mod benchmark;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod corrupt;
pub(crate) mod denoise;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod interpolate;
pub(crate) mod list;
pub(crate) mod noise;
pub(crate) mod sample;
pub(crate) mod train;
pub(crate) mod traverse;

use std::path::PathBuf;

use dvae::prelude::*;
use dvae::{HeldOut, Pretrained, Weights};
use serde::Serialize;

use crate::Error;
use crate::output::{Output, table};

/// The model of a run.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
    /// The folder of a run, or a .safetensors file of one
    #[arg(value_name = "RUN")]
    pub(crate) path: PathBuf,
    /// Use the weights at the end of training, not those with the best bound on held-out rows
    #[arg(long)]
    pub(crate) last: bool,
    /// The back end to run on: flex, or another one that is compiled in
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
}

impl ModelArgs {
    pub(crate) fn load(&self) -> Result<Pretrained, Error> {
        let weights = if self.last { Weights::Last } else { Weights::Best };
        let device = match &self.backend {
            Some(name) => Some(name.parse::<Backend>()?.device()?),
            None => None,
        };
        Ok(Pretrained::load(&self.path, weights, device.as_ref())?)
    }
}

/// The rows of the model's own data to evaluate it on. An error says what to do without them.
pub(crate) fn held_out(model: &Pretrained, advice: &str) -> Result<HeldOut, Error> {
    model.held_out().map_err(|error| format!("{error}; {advice}").into())
}

pub(crate) fn backends(out: Output) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Line {
        name: &'static str,
        compiled: bool,
        usable: bool,
        note: String,
    }
    let line = |backend: Backend| {
        let device = backend.device();
        let note = match &device {
            Ok(_) => String::new(),
            Err(BackendError::NotCompiled { .. }) => {
                format!("build with `--features {backend}`")
            }
            Err(error) => error.to_string(),
        };
        let (compiled, usable) = (backend.is_compiled(), device.is_ok());
        Line { name: backend.name(), compiled, usable, note }
    };
    let lines: Vec<Line> = Backend::ALL.into_iter().map(line).collect();
    out.write(&lines, || {
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|l| vec![l.name.to_owned(), yes(l.compiled), yes(l.usable), l.note.clone()])
            .collect();
        table(&["back end", "compiled in", "usable", ""], &rows)
    })
}
