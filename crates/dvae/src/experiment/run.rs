//! Runs: an experiment in a folder, from its first step to its trained model.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use dvae_checks::shown_path;
use dvae_data::Dataset;
use dvae_models::{AnyNetwork, Autoencoder};
use dvae_random::{Key, Purpose};
use dvae_train::{
    Communicator, End, Interrupt, JsonLines, Observer, Report, RunFolder, Single, TensorBoard,
    TextLog, Trained, Trainer, has_checkpoint, read_file,
};
use serde::{Deserialize, Serialize};

use super::identity::{Calibrations, check_resumed, description, identity, placed};
use super::model::{Rank, with_rank};
use super::source::make_absolute;
use super::{
    Experiment, ExperimentError, Prepared, PreparedData, Pretrained, Splits, Start, Weights,
};
use crate::Backend;

/// The experiment as the user wrote it, with every key.
const CONFIG: &str = "config.toml";
/// The values determined by the data.
const DATA: &str = "data.toml";

/// A run: an experiment and its results in a folder.
///
/// ```no_run
/// use dvae::train::Interrupt;
/// use dvae::{Experiment, Run, Weights};
///
/// let mut run = Run::create(&Experiment::default(), "runs")?;
/// run.train(vec![], &Interrupt::new())?;
/// let model = Run::open(run.path())?.model(Weights::Best, None)?;
/// # Ok::<(), dvae::ExperimentError>(())
/// ```
///
/// [`Run::open`] only reads: it takes no lock, even while another process trains. Only a run that was created
/// or resumed holds the lock of its folder, until it is dropped.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    experiment: Experiment,
    data: Option<PreparedData>,
    rows: Option<Splits>,
    /// The lock of the folder; only a writer holds it.
    writer: Option<RunFolder>,
    /// Whether the experiment is another one than that in the folder, which it replaces when training resumes.
    changed: bool,
    /// When it was opened: its time limit counts from then on. `None` after its first session.
    opened: Option<Instant>,
}

/// A run as other processes are told of it.
#[derive(Serialize, Deserialize)]
struct Invitation {
    path: PathBuf,
    experiment: Experiment,
    data: Option<PreparedData>,
}

/// The progress of a run, according to its files.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Epochs done at the last measurement.
    pub epochs_done: usize,
    /// Epochs of the experiment.
    pub epochs: usize,
    /// Seconds since the last measurement was written; `None` if there is none. Without the lock, it is not
    /// known whether a process is training; a live run writes at every measurement.
    pub seconds_since_measured: Option<u64>,
    /// The best measurement so far.
    pub best: Option<Report>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} epochs", self.epochs_done, self.epochs)?;
        match self.seconds_since_measured {
            Some(seconds) if self.epochs_done < self.epochs => {
                write!(f, ", measured {seconds} s ago")
            }
            _ => Ok(()),
        }
    }
}

/// A run that was opened, or why it could not be.
type Opened = Result<Run, ExperimentError>;

impl Run {
    /// Creates a run in a folder `root/name-001`, or with the next free number.
    ///
    /// An error names what is wrong with the settings or the data, before a folder is made.
    pub fn create(
        experiment: &Experiment,
        root: impl AsRef<Path>,
    ) -> Result<Self, ExperimentError> {
        let start = Instant::now();
        let prepared = experiment.prepare()?;
        let folder = RunFolder::numbered(root.as_ref(), &experiment.name)?;
        Self::begin(prepared, folder, start)
    }

    /// Creates a run in this folder, which must be new or empty.
    pub fn create_at(
        experiment: &Experiment,
        path: impl AsRef<Path>,
    ) -> Result<Self, ExperimentError> {
        let start = Instant::now();
        let prepared = experiment.prepare()?;
        Self::begin(prepared, RunFolder::new(path.as_ref())?, start)
    }

    fn begin(
        prepared: Prepared,
        folder: RunFolder,
        start: Instant,
    ) -> Result<Self, ExperimentError> {
        let Prepared { experiment, data, rows } = prepared;
        folder.write(DATA, to_toml(&data)?.as_bytes())?;
        // Written last: a folder that contains it is a run.
        folder.write(CONFIG, experiment.to_commented_toml()?.as_bytes())?;
        let path = folder.path().to_path_buf();
        Ok(Self {
            path,
            experiment,
            data: Some(data),
            rows: Some(rows),
            writer: Some(folder),
            changed: false,
            opened: Some(start),
        })
    }

    /// Opens the run in a folder for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ExperimentError> {
        let opened = Some(Instant::now());
        let path = path.as_ref().to_path_buf();
        let experiment = Experiment::layered(Some(&path.join(CONFIG)), [], &[])?;
        let file = path.join(DATA);
        let text = read_text(&file)?;
        let data = text.map(|text| super::layers::from_toml_text(&text, &shown_path(&file)));
        let data = data.transpose()?;
        Ok(Self { path, experiment, data, rows: None, writer: None, changed: false, opened })
    }

    /// What another process needs to [`Run::join`] in the training of this run.
    pub fn invitation(&self) -> Result<String, ExperimentError> {
        let invitation = Invitation {
            path: std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()),
            experiment: self.experiment.clone(),
            data: self.data.clone(),
        };
        serde_json::to_string(&invitation)
            .map_err(|error| ExperimentError::Settings(error.to_string()))
    }

    /// The run that another process created or resumed, to be trained together with it: see [`Run::train_together`].
    pub fn join(invitation: &str) -> Result<Self, ExperimentError> {
        let opened = Some(Instant::now());
        let failed = |error: serde_json::Error| ExperimentError::Config {
            place: "the invitation to a run".to_owned(),
            reason: error.to_string(),
        };
        let Invitation { path, experiment, data } =
            serde_json::from_str(invitation).map_err(failed)?;
        Ok(Self { path, experiment, data, rows: None, writer: None, changed: false, opened })
    }

    /// Whether there is a run in a folder.
    pub fn exists(path: impl AsRef<Path>) -> bool {
        path.as_ref().join(CONFIG).is_file()
    }

    /// Opens the run in a folder to continue its training.
    pub fn resume(path: impl AsRef<Path>) -> Result<Self, ExperimentError> {
        let folder = RunFolder::open(path.as_ref())?;
        Ok(Self { writer: Some(folder), ..Self::open(path)? })
    }

    /// Opens the run in a folder to continue its training with changes: those of the environment and of single
    /// settings, as in [`Experiment::load`].
    ///
    /// What may change is what does not decide the result: the place of the data (the rows must be the same),
    /// the back end, the name, the time limit, and how often checkpoints are saved and kept. More epochs may be asked for, which
    /// [`Run::train`] refuses if a schedule depends on their number. An error names any other key that changes.
    /// The folder has the changed experiment once training goes on.
    pub fn resume_with(
        path: impl AsRef<Path>,
        settings: &[String],
    ) -> Result<Self, ExperimentError> {
        let run = Self::resume(path)?;
        let asked = Experiment::load(Some(&run.path.join(CONFIG)), settings)?;
        run.becoming(asked).map_err(|error| placed(error, settings))
    }

    /// Opens the run in a folder to continue its training as this experiment, which may differ from its own as
    /// in [`Run::resume_with`].
    pub fn resume_as(
        path: impl AsRef<Path>,
        experiment: &Experiment,
    ) -> Result<Self, ExperimentError> {
        Self::resume(path)?.becoming(experiment.clone())
    }

    fn becoming(self, asked: Experiment) -> Result<Self, ExperimentError> {
        check_resumed(&self.path, &self.experiment, &asked)?;
        let changed = asked != self.experiment;
        Ok(Self { experiment: asked, changed, ..self })
    }

    /// The runs in a folder, by name: each one that can be read, or the reason why not.
    pub fn all_in(root: &Path) -> Result<Vec<(PathBuf, Opened)>, ExperimentError> {
        let entries = fs::read_dir(root).map_err(|error| ExperimentError::Config {
            place: shown_path(root),
            reason: format!("it cannot be read: {error}"),
        })?;
        let mut paths: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.join(CONFIG).is_file());
        paths.sort();
        Ok(paths.into_iter().map(|path| (path.clone(), Self::open(path))).collect())
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The experiment as the user wrote it.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The values determined by the data.
    pub fn data(&self) -> Option<&PreparedData> {
        self.data.as_ref()
    }

    /// The run's measurements, in order.
    pub fn metrics(&self) -> Result<Vec<Report>, ExperimentError> {
        let path = self.metrics_file();
        let text = read_text(&path)?.unwrap_or_default();
        // The last line may be incomplete while a process writes it.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let report = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| ExperimentError::Config {
                place: format!("{}, line {}", shown_path(&path), at + 1),
                reason: format!("it is no measurement: {error}"),
            })
        };
        whole.lines().enumerate().map(report).collect()
    }

    /// The run's progress.
    pub fn status(&self) -> Result<Status, ExperimentError> {
        let reports = self.metrics()?;
        let written = fs::metadata(self.metrics_file()).and_then(|file| file.modified()).ok();
        let age = written.map(|time| time.elapsed().unwrap_or_default().as_secs());
        Ok(Status {
            epochs_done: reports.last().map_or(0, |report| report.epoch),
            epochs: self.experiment.train.epochs,
            seconds_since_measured: age.filter(|_| !reports.is_empty()),
            best: reports.into_iter().rfind(|report| report.best),
        })
    }

    fn metrics_file(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Whether weights have been saved yet.
    pub fn has_model(&self) -> bool {
        self.path.join("best.safetensors").exists()
    }

    /// The run's model, on this device or on that of the first back end that is compiled in.
    pub fn model(
        &self,
        weights: Weights,
        device: Option<&Device>,
    ) -> Result<Pretrained, ExperimentError> {
        Pretrained::load(&self.path, weights, device)
    }

    /// Trains, or continues training, until it ends, `interrupt` is set, or its time is up
    /// ([`TrainConfig::time_limit`](crate::train::TrainConfig::time_limit), from when the run was opened).
    ///
    /// Metrics, log and events are written to the folder; `observers` are notified as well. Afterwards the
    /// folder has everything that a resume and [`Run::model`] need. An error is also written to the log.
    pub fn train(
        &mut self,
        observers: Vec<Box<dyn Observer>>,
        interrupt: &Interrupt,
    ) -> Result<End, ExperimentError> {
        self.train_together(observers, interrupt, Arc::new(Single))
    }

    /// Trains together with other processes, each of which has this run: rank 0 by [`Run::create`] or [`Run::resume`], the others by
    /// [`Run::join`]. They read the same data, and its folder, from the same paths.
    pub fn train_together(
        &mut self,
        observers: Vec<Box<dyn Observer>>,
        interrupt: &Interrupt,
        group: Arc<dyn Communicator>,
    ) -> Result<End, ExperimentError> {
        if group.rank() > 0 {
            return self.train_in(None, observers, interrupt, group);
        }
        let folder = match self.writer.take() {
            Some(folder) => folder,
            None => RunFolder::open(&self.path)?,
        };
        let folder = self.writer.insert(folder).clone();
        let end = self.train_in(Some(&folder), observers, interrupt, group);
        if let Err(error) = &end {
            folder.log_failure(error);
        }
        end
    }

    /// Trains; the process that writes has the folder.
    fn train_in(
        &mut self,
        folder: Option<&RunFolder>,
        observers: Vec<Box<dyn Observer>>,
        interrupt: &Interrupt,
        group: Arc<dyn Communicator>,
    ) -> Result<End, ExperimentError> {
        let start = self.opened.take().unwrap_or_else(Instant::now);
        let Prepared { experiment, data, rows } = self.prepared()?;
        let end = with_rank!(Rank::of(&data.event)?, D => {
            let checkpoints = RunFolder::checkpoints_in(&self.path);
            let is_resumed = has_checkpoint(&checkpoints)?;
            let trainer = trainer::<D>(&experiment, &data, &rows.train, !is_resumed)?
                .description(description(&experiment, &data, Calibrations::default())?)
                .settings(identity(&experiment, &data)?)
                .weights(&self.path)
                .interrupt(interrupt.clone())
                .communicator(group)
                .since(start);
            // A run that was killed before its first checkpoint starts from the beginning.
            let trainer = match (is_resumed, folder) {
                (true, _) => trainer.resume(checkpoints)?,
                (false, Some(_)) => trainer.checkpoints(checkpoints),
                (false, None) => trainer,
            };
            if let Some(folder) = folder.filter(|_| self.changed) {
                trainer.check(&rows.train, &rows.validation)?;
                folder.write(CONFIG, experiment.to_commented_toml()?.as_bytes())?;
                self.changed = false;
            }
            let own = folder.map(own_observers).unwrap_or_default();
            let observers = own.into_iter().chain(observers);
            let trainer = observers.fold(trainer, Trainer::observe);
            let Trained { end, .. } = trainer.fit(&rows.train, &rows.validation)?;
            end
        });
        self.data = Some(data);
        Ok(end)
    }

    /// The experiment with its rows: those that were read when it was created, or read again.
    fn prepared(&mut self) -> Result<Prepared, ExperimentError> {
        match (&self.data, self.rows.take()) {
            (Some(data), Some(rows)) => {
                Ok(Prepared { experiment: self.experiment.clone(), data: data.clone(), rows })
            }
            (earlier, _) => self.experiment.prepare_as(earlier.as_ref()),
        }
    }
}

/// The observers that write to the run's folder.
fn own_observers(folder: &RunFolder) -> Vec<Box<dyn Observer>> {
    vec![
        Box::new(JsonLines::new(folder.metrics())),
        Box::new(TextLog::new(folder.log())),
        Box::new(TensorBoard::new(folder.events())),
    ]
}

impl Experiment {
    /// The device of the run's back end.
    pub fn device(&self) -> Result<Device, ExperimentError> {
        let none = "no back end is compiled in: build with `--features flex`";
        let backend = self.backend.or_else(Backend::first);
        Ok(backend.ok_or_else(|| ExperimentError::Settings(none.to_owned()))?.device()?)
    }

    /// Reads the data and resolves what depends on it: the shape of a row, the scaling, absolute paths.
    ///
    /// An error names what is wrong with the settings or the data, before anything is written.
    pub fn prepare(&self) -> Result<Prepared, ExperimentError> {
        self.prepare_as(None)
    }

    /// Reads, splits, scales and binarizes the rows. If the data was prepared before, the scaling of `earlier` is
    /// used, and data that has changed since is an error.
    pub fn load_data(
        &self,
        earlier: Option<&PreparedData>,
    ) -> Result<(PreparedData, Splits), ExperimentError> {
        let (mut data, rows) = self.data.load(earlier)?;
        data.domain = self.domain_of_files(data.domain);
        Ok((data, rows))
    }

    /// [`Self::prepare`] with the values determined by the data `earlier`.
    pub(super) fn prepare_as(
        &self,
        earlier: Option<&PreparedData>,
    ) -> Result<Prepared, ExperimentError> {
        self.train.check()?;
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            let name = &self.name;
            let text = format!("`name` is that of a folder, and cannot be `{name}`");
            return Err(ExperimentError::Settings(text));
        }
        let (data, rows) = self.load_data(earlier)?;
        let mut experiment = self.clone();
        experiment.data.source = experiment.data.source.absolute();
        experiment.start.iter_mut().filter_map(Start::path_mut).for_each(make_absolute);
        with_rank!(Rank::of(&data.event)?, D => {
            trainer::<D>(&experiment, &data, &rows.train, earlier.is_none())?.check(&rows.train, &rows.validation)?;
        });
        Ok(Prepared { experiment, data, rows })
    }
}

/// Builds the trainer: model, corruption and settings. Weights to start from are read if the run is new: one that goes on
/// has its own.
fn trainer<const D: usize>(
    experiment: &Experiment,
    data: &PreparedData,
    train: &Dataset,
    is_new: bool,
) -> Result<Trainer<D, Autoencoder<AnyNetwork>>, ExperimentError> {
    let device = experiment.device()?;
    let key = Key::new(experiment.train.seed).purpose(Purpose::Weights);
    let config = experiment.model_for(data)?;
    let model = config.init(key, &device)?;
    let model = match &experiment.start {
        Some(start) if is_new => start.load(&config, data, model)?,
        _ => model,
    };
    let is_of_table = experiment.corruption.needs_table();
    let table =
        is_of_table.then(|| experiment.table_rows(data, Some(train))).flatten().map(Arc::new);
    let corruption = experiment.process::<D>(data, table)?;
    Ok(Trainer::new(model, corruption, experiment.train.clone(), &device)?)
}

fn to_toml(data: &PreparedData) -> Result<String, ExperimentError> {
    toml::to_string(data).map_err(|error| {
        ExperimentError::Settings(format!("what the data decided cannot be written: {error}"))
    })
}

/// The text of a file of the run, if there is one.
fn read_text(path: &Path) -> Result<Option<String>, ExperimentError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = String::from_utf8(read_file(path)?);
    text.map(Some).map_err(|error| ExperimentError::Config {
        place: shown_path(path),
        reason: format!("it cannot be read: {error}"),
    })
}
