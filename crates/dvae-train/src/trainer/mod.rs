//! The training loop.

mod report;
mod resume;
mod step;

pub use resume::{has_checkpoint, load_checkpoint};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_kernels::GlobalNormClip;
use dvae_models::Vae;
use dvae_random::Key;

use crate::ahead::ahead;
use crate::checkpoint::State;
use crate::clock::Clock;
use crate::communicator::any;
use crate::fit::check_fit;
use crate::identity::Identity;
use crate::pending::{PendingStep, Read, read};
use crate::{
    Communicator, End, Event, Every, Interrupt, Observer, Settings, Single, TrainConfig,
    TrainError, checkpoint,
};

/// Steps between two reads of the terms; each read waits for the device.
const STEPS_PER_READ: usize = 10;

/// Trains a model on the denoising bound.
///
/// All noise is keyed by the seed, the epoch and the row. So a run depends only on its configuration and
/// data, and a run that was stopped and resumed has the same weights as an uninterrupted one, bit for bit on
/// the same CPU back end.
///
/// Batches are prepared and corrupted on another thread while the model computes, at most a few ahead. A step
/// takes the mean over the rows of its [`accumulate`](TrainConfig::accumulate) batches; terms of the loss
/// that belong to a batch as a whole (MMD, total correlation, …) are still computed per batch.
///
/// With [`ema`](TrainConfig::ema) a moving average of the weights is kept: after the step of index `t`, from
/// 0, it is `δ θ̄ + (1 − δ) θ`, `δ = min(ema, (1 + t) / (10 + t))`. The average is then what is measured,
/// saved for use, and returned; the optimizer never sees it.
pub struct Trainer<const D: usize, V> {
    model: V,
    average: Option<V>,
    optimizer: ModuleOptimizer,
    clip: Option<GlobalNormClip>,
    corruption: Arc<dyn Corruption<D>>,
    observers: Vec<Box<dyn Observer>>,
    config: TrainConfig,
    description: String,
    settings: Option<Settings>,
    device: Device,
    state: State,
    last_epoch: usize,
    checkpoints: Option<PathBuf>,
    weights: Option<PathBuf>,
    interrupt: Interrupt,
    group: Arc<dyn Communicator>,
    /// When the session began, for its time limit.
    start: Instant,
    clock: Clock,
    /// The checkpoint to resume from, and the identity of the run that made it.
    resumed: Option<(PathBuf, Identity)>,
    /// Wall time of the steps since the last measurement.
    seconds: f64,
}

/// The result of a training session.
#[derive(Clone, Debug)]
pub struct Trained<V> {
    /// The model on the plain device, ready for use; with averaged weights, if they are kept.
    pub model: V,
    /// How the session ended.
    pub end: End,
}

/// The size of a training.
#[derive(Clone, Copy)]
struct Plan {
    /// Steps per epoch.
    per_epoch: usize,
    /// Steps in all.
    steps: usize,
    /// Batches per epoch.
    batches: usize,
    /// Rows of the training set.
    rows: usize,
    /// The number of steps after which this session ends.
    until: usize,
}

/// What the loop needs besides the trainer.
struct Run<'a> {
    plan: Plan,
    identity: Identity,
    train: &'a Dataset,
    validation: &'a Dataset,
}

impl<const D: usize, V: Vae<D>> Trainer<D, V> {
    /// Creates a trainer of `model`, whose weights are on `device`, before its first epoch.
    ///
    /// An error names a setting out of range, or early stopping that could never happen because the KL's
    /// weight or the noise changes until the end.
    pub fn new(
        model: V,
        corruption: impl Corruption<D> + 'static,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        config.check()?;
        if config.early_stopping.is_some() {
            let never = |reason| Err(TrainError::NeverEarly { reason });
            if config.objective.warm_up_end() >= 1.0 {
                return never("the KL's weight changes until its end");
            }
            if corruption.schedule_end() >= 1.0 {
                return never("the strength of the corruption changes until its end");
            }
        }
        let clip = config.max_gradient_norm.map(GlobalNormClip::new).transpose()?;
        Ok(Self {
            average: config.ema.map(|_| model.valid()),
            // Gradients are followed from the first step on: Burn keeps a part of a model whose gradients are never used.
            model: model.valid(),
            optimizer: config.optimizer.build(clip.as_ref()),
            clip,
            corruption: Arc::new(corruption),
            observers: vec![],
            description: String::new(),
            settings: None,
            device: device.clone(),
            state: State::default(),
            last_epoch: config.epochs,
            checkpoints: None,
            weights: None,
            interrupt: Interrupt::new(),
            group: Arc::new(Single),
            start: Instant::now(),
            clock: Clock::since(Instant::now()),
            resumed: None,
            seconds: 0.0,
            config,
        })
    }

    /// Adds a description of the run for the metadata of its weights, a model's configuration for example.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Adds settings that a resume must find the same, besides those of the training: of the model and of the
    /// corruption, for example. They are kept in checkpoints.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Saves checkpoints in this folder, as often as configured.
    pub fn checkpoints(mut self, folder: impl Into<PathBuf>) -> Self {
        self.checkpoints = Some(folder.into());
        self
    }

    /// Saves weights for use in this folder: `best.safetensors` whenever the bound on held-out rows with
    /// corrupted input is the largest so far, `last.safetensors` at the end of the session. Their metadata
    /// has the [`description`](Self::description) under `config`.
    pub fn weights(mut self, folder: impl Into<PathBuf>) -> Self {
        self.weights = Some(folder.into());
        self
    }

    /// Adds an observer, notified after those that were added before. To read an observer afterwards, share
    /// it: `Arc<Mutex<…>>` of an observer is an observer.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Sets the interrupt that ends the session: after the current step, or after the first one, with a
    /// checkpoint.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Trains together with other processes, which must have the same model, rows and settings: see [`Communicator`]. An interrupt of one
    /// of them, or its time limit, ends the session of all after the same step. Rank 0 alone writes checkpoints and weights; observers
    /// are told on each process that has them. What fails while it is measured or saved is an error on all of them; a process that
    /// has an error of its own, such as of an observer, has to end the others by [`Communicator::abort`].
    pub fn communicator(mut self, group: Arc<dyn Communicator>) -> Self {
        self.group = group;
        self
    }

    /// Sets when the session began, in place of when the trainer was created: its time limit counts from then on.
    pub fn since(mut self, start: Instant) -> Self {
        self.start = start;
        self
    }

    /// Ends this session after `epoch` of the configured epochs, to be resumed later.
    pub fn until(mut self, epoch: usize) -> Self {
        self.last_epoch = epoch.min(self.config.epochs);
        self
    }

    /// Trains until the last epoch, until the bound no longer improves, until it is interrupted, or until its time is up.
    ///
    /// As often as configured, and after the last step, the bound on `validation` is measured with clean and
    /// with corrupted input; the noise is the same every time. Scheduled corruption strengths follow the
    /// epochs; validation always uses their final value.
    ///
    /// An error names a set without rows, rows that do not fit the corruption or the likelihood, a model that
    /// does not fit the objective, a folder that holds the checkpoints of another run, or the failure that
    /// stops the training. Checkpoints made before are then left unchanged.
    ///
    /// # Panics
    ///
    /// If the rows have another shape than the model was configured for.
    pub fn fit(self, train: &Dataset, validation: &Dataset) -> Result<Trained<V>, TrainError> {
        let run = self.checked(train, validation)?;
        // Inside the pool, parallel loops start without handing work to another thread first.
        let mut result = None;
        rayon::scope(|_| result = Some(self.fit_in_pool(&run)));
        result.expect("the scope ran")
    }

    /// Performs the checks that [`Trainer::fit`] makes before it begins.
    pub fn check(&self, train: &Dataset, validation: &Dataset) -> Result<(), TrainError> {
        self.checked(train, validation).map(|_| ())
    }

    fn checked<'a>(
        &self,
        train: &'a Dataset,
        validation: &'a Dataset,
    ) -> Result<Run<'a>, TrainError> {
        for (set, rows) in [("training", train), ("validation", validation)] {
            if rows.is_empty() {
                return Err(TrainError::Empty { set });
            }
        }
        let (size, accumulate) = (self.group.size(), self.config.accumulate);
        if accumulate < size {
            return Err(TrainError::Processes { size, accumulate });
        }
        self.corruption.check(train.event())?;
        let (model, objective) = (self.model.clone(), &self.config.objective);
        let sets = [("training", train), ("validation", validation)];
        check_fit(&model, objective, &*self.corruption, self.root(), &sets, &self.device)?;
        let sets = [train, validation];
        let settings = self.settings.as_ref();
        let identity = Identity::new(&self.config, &self.corruption, settings, sets);
        let batches = train.len().div_ceil(self.config.batch_size);
        let per_epoch = batches.div_ceil(self.config.accumulate);
        self.check_resumed(&identity, per_epoch)?;
        let own = self.resumed.as_ref().and_then(|(folder, _)| folder.parent());
        match &self.checkpoints {
            Some(path) if own != Some(path) && checkpoint::any(path)? => {
                return Err(TrainError::Occupied { path: path.clone() });
            }
            _ => {}
        }
        let [steps, until] = [self.config.epochs, self.last_epoch].map(|epochs| epochs * per_epoch);
        let plan = Plan { per_epoch, steps, batches, rows: train.len(), until };
        Ok(Run { plan, identity, train, validation })
    }

    fn fit_in_pool(mut self, run: &Run) -> Result<Trained<V>, TrainError> {
        self.model = self.model.train();
        let (epochs, steps_per_epoch) = (self.config.epochs, run.plan.per_epoch);
        let steps_done = self.state.steps;
        self.tell(&Event::Started { steps_done, epochs, steps_per_epoch })?;
        self.clock = Clock::since(self.start);
        // A request to stop is read once, after a step, so the session it ends is always saved.
        let mut end = self.end(&run.plan);
        while end.is_none() {
            (self, end) = self.train_epoch(run)?;
        }
        let end = end.expect("the loop ended");
        let model = self.usable();
        let saved = match &self.weights {
            Some(folder) => self.save_weights(folder, "last.safetensors", &model),
            None => Ok(()),
        };
        self.agree(saved)?;
        self.tell(&Event::Ended(end))?;
        Ok(Trained { model, end })
    }

    /// How the session ends at this point, if it does, apart from interrupts and its time.
    fn end(&self, plan: &Plan) -> Option<End> {
        if self.state.steps >= plan.steps {
            Some(End::Finished)
        } else if self.state.measured.is_over(self.config.early_stopping) {
            Some(End::StoppedEarly)
        } else if self.state.steps >= plan.until {
            Some(End::Interrupted)
        } else {
            None
        }
    }

    /// Trains to the end of the epoch or of the session.
    fn train_epoch(mut self, run: &Run) -> Result<(Self, Option<End>), TrainError> {
        let plan = run.plan;
        let epoch = self.state.steps / plan.per_epoch;
        let batches = self.batches(run, epoch)?;
        std::thread::scope(|scope| {
            let mut batches = ahead(scope, batches);
            let mut pending = Vec::with_capacity(STEPS_PER_READ);
            while self.state.steps < (epoch + 1) * plan.per_epoch {
                let start = Instant::now();
                let done = self.state.steps;
                self = self.step(&mut batches, run, &mut pending);
                if self.state.steps == done {
                    break; // Making batches panicked; the panic resumes at the end of the scope.
                }
                self.seconds += start.elapsed().as_secs_f64();
                let end = self.after_step(run, &mut pending)?;
                if end.is_some() {
                    return Ok((self, end));
                }
            }
            Ok((self, None))
        })
    }

    /// Reads, measures and saves what is due; returns how the session ends, if it does.
    fn after_step(
        &mut self,
        run: &Run,
        pending: &mut Vec<PendingStep>,
    ) -> Result<Option<End>, TrainError> {
        let (plan, steps) = (&run.plan, self.state.steps);
        let asked = self.asked_to_end();
        let is_due = |every: Every| every.is_due(steps, plan.per_epoch) || steps == plan.steps;
        let (validate, save) = (is_due(self.config.validate), is_due(self.config.checkpoint));
        let ends = self.end(plan).or(asked).is_some();
        let epoch_ends = steps.is_multiple_of(plan.per_epoch);
        if pending.len() == STEPS_PER_READ || epoch_ends || validate || save || ends {
            let Read { terms, gradient_norm } =
                read(pending, &self.model, plan.per_epoch, &self.device, &*self.group)?;
            terms.iter().for_each(|terms| self.state.terms.add(terms));
            let largest = f64::from_bits(self.state.gradient_norm).max(gradient_norm);
            self.state.gradient_norm = largest.to_bits();
            let so_far = self.state.terms.mean();
            self.tell(&Event::Steps { step: steps, so_far })?;
        }
        if validate {
            let report = self.measured(run);
            let report = self.agree(report)?;
            self.tell(&Event::Measured(&report))?;
        }
        let end = self.end(plan).or(asked);
        if save || end.is_some() {
            let start = Instant::now();
            let saved = self.save(run);
            self.agree(saved)?;
            self.clock.saved(start.elapsed());
        }
        self.clock.step_ended();
        Ok(end)
    }

    /// How the session is asked to end on any of its processes, if it is.
    fn asked_to_end(&self) -> Option<End> {
        let [is_interrupted, is_late] =
            any(&*self.group, [self.interrupt.is_set(), self.clock.is_up(self.config.time_limit)]);
        let interrupted = is_interrupted.then_some(End::Interrupted);
        interrupted.or_else(|| is_late.then_some(End::OutOfTime))
    }

    /// What a process made, or an error if one of them failed: all go on, or none.
    fn agree<T>(&self, made: Result<T, TrainError>) -> Result<T, TrainError> {
        match (any(&*self.group, [made.is_err()]), made) {
            ([true], Ok(_)) => Err(TrainError::OtherProcess),
            (_, made) => made,
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), TrainError> {
        self.observers.iter_mut().try_for_each(|observer| observer.observe(event))
    }

    fn learning_rate(&self, step: usize, plan: &Plan) -> f64 {
        self.config.learning_rate.at(step, plan.steps, plan.per_epoch)
    }

    /// The training progress of this epoch: 0 in the first, 1 in the last.
    fn progress(&self, epoch: usize) -> f64 {
        match self.config.epochs {
            1 => 1.0,
            epochs => epoch as f64 / (epochs - 1) as f64,
        }
    }

    fn root(&self) -> Key {
        Key::new(self.config.seed)
    }
}

impl Plan {
    /// The training progress at this step: 0 at the first, 1 at the last.
    fn share_done(&self, step: usize) -> f64 {
        match self.steps {
            1 => 1.0,
            steps => step as f64 / (steps - 1) as f64,
        }
    }
}

impl<const D: usize, V: fmt::Debug> fmt::Debug for Trainer<D, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("model", &self.model)
            .field("corruption", &self.corruption)
            .field("config", &self.config)
            .field("steps", &self.state.steps)
            .finish_non_exhaustive()
    }
}
