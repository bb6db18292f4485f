//! Trains a denoising VAE on surnames, and repairs typing errors in names that it has seen and in names that it has not.
//!
//! ```text
//! cargo run --release --example repair_names -- --help
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dvae::corruption::{TextCorruption, TypoKind, Typos};
use dvae::eval::{Corrector, NoisyChannel, Proportion, Repair, RepairMeasures, WordList};
use dvae::prelude::*;
use dvae::train::Interrupt;
use dvae::{
    DataSource, Experiment, KnownTexts, Pretrained, RepairOptions, Run, Splits, TextRepair, Weights,
};
use dvae_examples::{Error, exit};

/// Trains on names, and repairs typing errors in others; prints how many are right beside two classical methods.
#[derive(Parser)]
struct Args {
    /// A text file with a name in each line [default: 4,000 surnames]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Epochs of the training
    #[arg(long)]
    epochs: Option<usize>,
    /// The seed of the split, the weights and all noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder of the run [default: runs/names-001, or the next free number]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Names of each kind that are damaged.
const NAMES: usize = 400;
/// How often each is.
const DRAWS: u64 = 4;
/// Expected errors for 100 characters.
const LEVEL: f64 = 15.0;
const BEAM: usize = 8;
/// Names that a margin is learned from, at least.
const HELD_OUT: usize = 200;

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Error> {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/names.toml");
    let mut experiment = Experiment::load(Some(config.as_ref()), &[])?;
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/surnames.txt");
    if let DataSource::Text { path, .. } = &mut experiment.data.source {
        *path = args.data.clone().unwrap_or_else(|| own.into());
    }
    (experiment.data.seed, experiment.train.seed) = (args.seed, args.seed);
    experiment.train.epochs = args.epochs.unwrap_or(experiment.train.epochs);
    let (_, Splits { train, validation, test }) = experiment.load_data(None)?;
    if validation.len() < HELD_OUT {
        let held_out = validation.len();
        let text = format!(
            "{held_out} held-out names are too few to learn from what a repair is: 2,500 names have enough"
        );
        return Err(text.into());
    }
    let mut run = match &args.out {
        Some(path) => Run::create_at(&experiment, path)?,
        None => Run::create(&experiment, "runs")?,
    };
    run.train(vec![Box::new(Progress::new("names"))], &Interrupt::new())?;
    let mut model = run.model(Weights::Last, None)?;

    let unseen = texts(&model, &test.ok_or("the experiment holds out no names")?);
    let seen = texts(&model, &train);
    let alone = model.calibrate_repairs(&validation, BEAM, None)?;
    let calibration =
        model.calibrate_repairs(&validation, BEAM, Some(KnownTexts::new(seen.clone())))?;
    let file = Pretrained::file(run.path(), Weights::Last)?;
    model.save(&file)?;
    let known = KnownTexts::new(seen.clone()).with_bonus(calibration.bonus.unwrap_or_default());
    let list = WordList::new(&seen);
    let channel = NoisyChannel::new(&list, LEVEL / 100.0)?.unknown_count(0.0)?;
    let sets = [pairs(&seen, args.seed)?, pairs(&unseen, args.seed)?];
    let repaired = |margin: f64, known: Option<&KnownTexts>, damaged: &[String]| {
        let options = RepairOptions { beam: BEAM, margin };
        let repairs = model.repair(damaged, options, known)?;
        let texts = repairs.into_iter().map(|repair: TextRepair| repair.text);
        Ok::<Vec<String>, Error>(texts.collect())
    };

    let kinds = ["in the list", "not in the list"];
    println!("\n{:30}{:>11}{:>31}", "names repaired exactly", kinds[0], kinds[1]);
    println!("{:18}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}", "edits", 0, 1, 2, 0, 1, 2);
    let line = |name: &str, methods: [Vec<String>; 2]| {
        let shares: Vec<String> = sets
            .iter()
            .zip(methods)
            .flat_map(|(set, repaired)| {
                let rows = set.clean.iter().zip(&set.damaged).zip(&repaired);
                let rows =
                    rows.map(|((clean, damaged), repaired)| Repair { clean, damaged, repaired });
                let measures = RepairMeasures::of(rows);
                measures.by_edits[..3].iter().map(|group| percent(&group.exact)).collect::<Vec<_>>()
            })
            .collect();
        println!(
            "{name:18}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}",
            shares[0], shares[1], shares[2], shares[3], shares[4], shares[5]
        );
    };
    let each = |method: &dyn Fn(&str) -> String| {
        [0, 1].map(|set| sets[set].damaged.iter().map(|text| method(text)).collect::<Vec<_>>())
    };
    line("nearest in list", each(&|text| list.repair(text)));
    line("noisy channel", each(&|text| channel.repair(text)));
    let by = |margin: f64, known: Option<&KnownTexts>| {
        let [seen, unseen] = [0, 1].map(|set| repaired(margin, known, &sets[set].damaged));
        Ok::<_, Error>([seen?, unseen?])
    };
    line("model, margin 0", by(0.0, None)?);
    line("model", by(alone.margin, None)?);
    line("list, margin 0", by(0.0, Some(&known))?);
    line("model with list", by(calibration.margin, Some(&known))?);

    println!("\nsome that are not in the list");
    let repairs = repaired(calibration.margin, Some(&known), &sets[1].damaged)?;
    let set = &sets[1];
    let errors = set.clean.iter().zip(&set.damaged).zip(&repairs);
    for ((clean, damaged), repaired) in errors.filter(|((a, b), _)| a != b).step_by(17).take(8) {
        let verdict = if repaired == clean { "right" } else { clean };
        println!("{damaged:16} → {repaired:16} {verdict}");
    }
    println!("\nThe run is in {}", run.path().display());
    Ok(())
}

/// Names and what typing errors make of them.
struct Pairs {
    clean: Vec<String>,
    damaged: Vec<String>,
}

/// Some of these names, each damaged several times: two errors in a name are one or none by chance.
fn pairs(names: &[String], seed: u64) -> Result<Pairs, Error> {
    let kinds = [TypoKind::Delete, TypoKind::Insert, TypoKind::Replace, TypoKind::Transpose];
    let typos = Typos::new(LEVEL)?.kinds(&kinds.map(|kind| (kind, 1.0)))?;
    let some: Vec<&str> =
        names.iter().step_by(names.len().div_ceil(NAMES).max(1)).map(|name| &**name).collect();
    let ids: Vec<u64> = (0..some.len() as u64).collect();
    let (mut clean, mut damaged) = (vec![], vec![]);
    for draw in 0..DRAWS {
        let key = Key::new(seed).purpose(Purpose::EvaluationCorruption).epoch(draw);
        let texts = typos.corrupt(&some, &mut key.rows(&ids));
        damaged.extend(texts.into_iter().map(|text| text.text));
        clean.extend(some.iter().map(|&name| name.to_owned()));
    }
    Ok(Pairs { clean, damaged })
}

/// The texts of rows.
fn texts(model: &Pretrained, rows: &Dataset) -> Vec<String> {
    let device = Device::flex();
    let values: Tensor<2> = rows.gather(&rows.ids(), &device);
    let width = rows.event()[0];
    let values: Vec<f64> = values.into_data().iter().collect();
    values.chunks_exact(width).filter_map(|row| model.text(row)).collect()
}

fn percent(share: &Proportion) -> String {
    share.share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}
