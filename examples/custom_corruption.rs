//! A corruption of one's own: lines are lost, and a model learns to bring them back.

use dvae::eval::denoising;
use dvae::prelude::*;

/// Each line of an image is lost with probability `rate`.
#[derive(Debug)]
struct LostLines(Level);

const SCALE: Scale = Scale {
    name: "rate",
    meaning: "probability that a line is lost",
    range: [0.0, 1.0],
    null: 0.0,
    severities: [0.1, 0.2, 0.3, 0.5, 0.7],
};

impl Corruption<4> for LostLines {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        let [rows, _, height, _] = clean.dims();
        let device = clean.device();
        let rates = Tensor::<1>::from_data(self.strength().of_rows(draws).as_slice(), &device);
        let rates = rates.reshape([rows, 1, 1, 1]).expand([rows, 1, height, 1]);
        let lost = draws.uniform([rows, 1, height, 1], &device).lower(rates).expand(clean.shape());
        CorruptedInput::erased(clean.mask_fill(lost.clone(), 0.0), lost)
    }

    fn strength(&self) -> Strength {
        Strength { level: self.0, scale: SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self(SCALE.resolve(level)?)))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let sets = fashion_mnist();
    let key = Key::new(1);
    let (train, held_out) = sets.train.split(200, key.purpose(Purpose::Split))?;
    let model =
        AutoencoderConfig::conv(train.event(), 16).init(key.purpose(Purpose::Weights), &device)?;

    // Every row at a rate of its own in training, a third of the lines when it is measured.
    let lost = LostLines(SCALE.resolve(Level::Uniform([0.0, 0.5]))?);
    let measured = lost.at_level(Level::Fixed(0.3))?;
    let config = TrainConfig { epochs: 5, ..TrainConfig::default() };
    let trainer = Trainer::new(model, lost, config, &device)?.observe(Progress::new("lost lines"));
    let model = trainer.fit(&train, &held_out)?.model;
    let context = EvaluationContext::new(key, 64, &device);
    let metrics = denoising(&model, &sets.test, &*measured, &context)?;
    let damaged = metrics.psnr_input.unwrap_or(f64::INFINITY);
    println!("PSNR: {damaged:.1} dB damaged, {:.1} dB denoised", metrics.psnr_output);
    Ok(())
}
