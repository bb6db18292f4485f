//! The commands, one per file: arguments and implementation.

pub(crate) mod benchmark;
pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod corrupt;
mod corrupt_texts;
pub(crate) mod denoise;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod impute;
mod impute_intervals;
pub(crate) mod info;
pub(crate) mod interpolate;
pub(crate) mod list;
pub(crate) mod noise;
mod repair;
pub(crate) mod sample;
pub(crate) mod table;
pub(crate) mod train;
pub(crate) mod traverse;

use std::path::{Path, PathBuf};

use dvae::data::{Fit, ReadOptions, read_rows};
use dvae::prelude::*;
use dvae::{Bundled, HeldOut, Pretrained, Weights};
use serde::Serialize;

use crate::Error;
use crate::inputs::InputFiles;
use crate::output::{Output, table};

/// The model of a run.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
    /// The folder of a run, a .safetensors file of one, or `photographs`: the models that come with the program. `denoise` and
    /// `benchmark` take that for gray photographs or that for color ones, as a file has them; others take that for color
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
    /// The file of its weights.
    pub(crate) fn file(&self) -> Result<PathBuf, Error> {
        if self.is_bundled() {
            let path = self.path.display();
            return Err(format!("{path} comes with the program as it is, calibrated").into());
        }
        Ok(Pretrained::file(&self.path, self.weights())?)
    }

    fn weights(&self) -> Weights {
        if self.last { Weights::Last } else { Weights::Best }
    }

    fn device(&self) -> Result<Option<Device>, Error> {
        Ok(match &self.backend {
            Some(name) => Some(name.parse::<Backend>()?.device()?),
            None => None,
        })
    }

    /// The model; of those for photographs the one for color.
    pub(crate) fn load(&self) -> Result<Pretrained, Error> {
        Ok(match self.models()? {
            Models::One(model) => *model,
            Models::Photographs { color, .. } => *color,
        })
    }

    /// The model, for a command of numbers. An error says that it is one of texts.
    pub(crate) fn load_of_numbers(&self, command: &str) -> Result<Pretrained, Error> {
        let model = self.load()?;
        match model.text_unit() {
            None => Ok(model),
            Some(_) => {
                let run = self.path.display();
                Err(format!(
                    "the model of {run} is one of texts, which `dvae {command}` is not for yet"
                )
                .into())
            }
        }
    }

    /// The model, or those for photographs.
    pub(crate) fn models(&self) -> Result<Models, Error> {
        let device = self.device()?;
        if !self.is_bundled() {
            let model = Pretrained::load(&self.path, self.weights(), device.as_ref())?;
            return Ok(Models::One(Box::new(model)));
        }
        let load = |model| Ok::<_, Error>(Box::new(Pretrained::bundled(model, device.as_ref())?));
        let (gray, color) = (load(Bundled::GrayPhotographs)?, load(Bundled::ColorPhotographs)?);
        Ok(Models::Photographs { gray, color })
    }

    /// Whether it names the models that come with the program, and not a file or the folder of a run.
    pub(crate) fn is_bundled(&self) -> bool {
        let is_own = self.path.is_file() || Pretrained::file(&self.path, self.weights()).is_ok();
        self.path == Path::new(PHOTOGRAPHS) && !(self.path.exists() && is_own)
    }
}

/// The name of the models that come with the program.
const PHOTOGRAPHS: &str = "photographs";

/// The models of a command.
pub(crate) enum Models {
    One(Box<Pretrained>),
    /// Those for photographs.
    Photographs {
        gray: Box<Pretrained>,
        color: Box<Pretrained>,
    },
}

impl Models {
    /// The model for the rows of a file: that for gray photographs if they are.
    pub(crate) fn of(&self, file: &Path, inputs: &InputFiles<'_>) -> Result<&Pretrained, Error> {
        match self {
            Self::One(model) => Ok(model),
            Self::Photographs { gray, color } => {
                let options = inputs.options(gray.read_options())?;
                let options = ReadOptions { fit: Fit::Stored, ..options };
                let event = read_rows(file, &options)?.format.event;
                Ok(if gray.picture(&event).is_some() { gray } else { color })
            }
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<&Pretrained> {
        match self {
            Self::One(model) => vec![model],
            Self::Photographs { gray, color } => vec![gray, color],
        }
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
