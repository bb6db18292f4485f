//! Running an experiment.

use burn::tensor::Device;
use dvae_models::Vae;
use dvae_random::{Key, Purpose};
use dvae_train::{End, Interrupt, Observer, RunFolder, Trained, Trainer, has_checkpoint};

use super::data::LoadedData;
use super::network::WithModel;
use super::{DataConfig, Experiment, ExperimentError};
use crate::Backend;

const CONFIG: &str = "config.toml";

/// One sitting of a training: where it is kept, who watches it, and how it is stopped.
#[derive(Debug)]
pub struct Sitting {
    folder: RunFolder,
    interrupt: Interrupt,
    goes_on: bool,
}

impl Sitting {
    /// The first one of a run in a folder that is new.
    pub fn first(folder: RunFolder) -> Self {
        Self { folder, interrupt: Interrupt::new(), goes_on: false }
    }

    /// One that goes on with the run in a folder: the experiment that it keeps, and the sitting.
    pub fn resume(folder: RunFolder) -> Result<(Experiment, Self), ExperimentError> {
        let experiment = Experiment::layered(Some(&folder.path().join(CONFIG)), [], &[])?;
        Ok((experiment, Self { folder, interrupt: Interrupt::new(), goes_on: true }))
    }

    /// Ends when it is asked to.
    pub fn interrupt(self, interrupt: Interrupt) -> Self {
        Self { interrupt, ..self }
    }

    /// Its folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }
}

impl Experiment {
    /// The device of its back end.
    pub fn device(&self) -> Result<Device, ExperimentError> {
        let none = "no back end is compiled in: build with `--features flex`";
        let backend = self.backend.or_else(Backend::first);
        Ok(backend.ok_or_else(|| ExperimentError::Settings(none.to_owned()))?.device()?)
    }

    /// Reads the data, and settles what depends on them: the shape of a row, the scaling, absolute paths.
    ///
    /// An error names whatever is wrong with settings or data, before anything is written.
    pub fn resolve(&self) -> Result<(Self, LoadedData), ExperimentError> {
        self.train.check()?;
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            let name = &self.name;
            let text = format!("`name` is that of a folder, and cannot be `{name}`");
            return Err(ExperimentError::Settings(text));
        }
        let data = self.data.load()?;
        // What is no process for this rank is refused when it is built.
        let mask = match data.train.event().len() {
            1 => self.corruption.build::<2>()?.shows_mask(),
            2 => self.corruption.build::<3>()?.shows_mask(),
            _ => self.corruption.build::<4>()?.shows_mask(),
        };
        let model = self.model.resolve(data.train.event(), mask)?;
        let data_config = DataConfig {
            scaler: data.scaler.clone(),
            columns: self.data.columns.clone().or_else(|| data.columns.clone()),
            bytes: Some(data.bytes),
            checksum: Some(data.train.checksum()),
            ..self.data.absolute()
        };
        let resolved = Self { model, data: data_config, ..self.clone() };
        let device = resolved.device()?;
        resolved.model.with(
            Key::new(0),
            &device,
            Check { experiment: &resolved, data: &data, device: &device },
        )?;
        Ok((resolved, data))
    }

    /// Trains, or goes on with the training, of an experiment that is [resolved](Self::resolve).
    ///
    /// The folder then has all that [`Pretrained`](crate::Pretrained) needs, and a resume.
    pub fn train(
        &self,
        data: &LoadedData,
        sitting: &Sitting,
        observers: Vec<Box<dyn Observer>>,
    ) -> Result<End, ExperimentError> {
        let device = self.device()?;
        if !sitting.goes_on {
            sitting.folder.write(CONFIG, self.to_commented_toml()?.as_bytes())?;
        }
        let key = Key::new(self.train.seed).purpose(Purpose::Weights);
        let work = Train { experiment: self, data, sitting, observers, device: &device };
        self.model.with(key, &device, work)
    }

    /// What a resume must find the same, and what weights say of themselves: everything but where it runs.
    pub(crate) fn description(&self) -> Result<String, ExperimentError> {
        Self { backend: None, ..self.clone() }.to_toml()
    }
}

/// Makes all that training needs, to see whether it goes together.
struct Check<'a> {
    experiment: &'a Experiment,
    data: &'a LoadedData,
    device: &'a Device,
}

impl WithModel for Check<'_> {
    type Output = ();

    fn call<const D: usize, V: Vae<D> + 'static>(self, model: V) -> Result<(), ExperimentError> {
        let corruption = self.experiment.corruption.build::<D>()?;
        let trainer = Trainer::new(model, corruption, self.experiment.train.clone(), self.device)?;
        Ok(trainer.check(&self.data.train, &self.data.validation)?)
    }
}

struct Train<'a> {
    experiment: &'a Experiment,
    data: &'a LoadedData,
    sitting: &'a Sitting,
    observers: Vec<Box<dyn Observer>>,
    device: &'a Device,
}

impl WithModel for Train<'_> {
    type Output = End;

    fn call<const D: usize, V: Vae<D> + 'static>(self, model: V) -> Result<End, ExperimentError> {
        let Self { experiment, data, sitting, observers, device } = self;
        let corruption = experiment.corruption.build::<D>()?;
        let mut trainer = Trainer::new(model, corruption, experiment.train.clone(), device)?
            .description(experiment.description()?)
            .weights(sitting.folder.path())
            .interrupt(sitting.interrupt.clone());
        let checkpoints = sitting.folder.checkpoints();
        // A run that was killed before its first checkpoint begins anew.
        trainer = if sitting.goes_on && has_checkpoint(&checkpoints)? {
            trainer.resume(checkpoints)?
        } else {
            trainer.checkpoints(checkpoints)
        };
        trainer = observers.into_iter().fold(trainer, Trainer::observe);
        let Trained { end, .. } = trainer.fit(&data.train, &data.validation)?;
        Ok(end)
    }
}
