//! Tables of numbers and classes: how they are learned, and what fills them in.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Write;
use std::path::Path;

use dvae::data::ColumnKind;
use dvae::distributions::LikelihoodConfig;
use dvae::losses::Objective;
use dvae::train::Interrupt;
use dvae::{Experiment, Imputation, Prepared, PreparedData, Pretrained, Run, Weights};

/// Lines in which the town tells the size, and the size the price, over three powers of ten. Some cells are missing.
fn table() -> String {
    let mut text = "id,town,size,price,rooms\n".to_owned();
    for at in 0..400usize {
        let town = at * 7 % 3;
        let size = 10.0 * (town as f64 + 1.0) + (at % 5) as f64 / 2.0;
        let price = 2.0 * 10f64.powf(size / 10.0);
        let or_hole =
            |every: usize, text: String| if at % every == 4 { String::new() } else { text };
        let town = or_hole(6, ["Ulm", "Bonn", "Trier"][town].to_owned());
        let (size, price) = (or_hole(5, format!("{size:.1}")), or_hole(7, format!("{price:.2}")));
        writeln!(text, "n{at},{town},{size},{price},{}", at % 5 + 1).unwrap();
    }
    text
}

const EXPERIMENT: &str = r#"
corruption = "masking:0.3"
[data]
source = "csv"
kinds = {}
validation = 0.1
[model]
network = { type = "table", hidden = [32] }
latent = 4
likelihood = { type = "learned-normal", min_scale = 0.02 }
[train]
batch_size = 32
learning_rate = 0.005
"#;

fn prepared(folder: &Path, settings: &[&str]) -> Result<dvae::Prepared, String> {
    std::fs::write(folder.join("a.csv"), table()).unwrap();
    std::fs::write(folder.join("a.toml"), EXPERIMENT).unwrap();
    let path = format!("data.path={}", folder.join("a.csv").display());
    let settings = settings.iter().map(|&setting| setting.to_owned()).chain([path]);
    let settings: Vec<String> = settings.collect();
    let prepared = Experiment::load(Some(&folder.join("a.toml")), &settings);
    prepared.and_then(|experiment| experiment.prepare()).map_err(|error| error.to_string())
}

fn trained(folder: &Path, settings: &[&str]) -> Result<Pretrained, String> {
    let prepared = prepared(folder, settings)?;
    let run = Run::create_at(&prepared.experiment, folder.join("run"));
    run.and_then(|mut run| {
        run.train(vec![], &Interrupt::new())?;
        run.model(Weights::Last, None)
    })
    .map_err(|error| error.to_string())
}

#[test]
fn columns_are_learned_and_filled_in_by_their_kinds() {
    let (_, filled) = filled_by_kinds(&[]);
    assert!(filled[0].deviations[0] < 0.5, "{filled:?}");
}

#[test]
fn columns_are_learned_and_filled_in_by_their_ranks() {
    let (model, _) = filled_by_kinds(&["data.scaling=ranks"]);
    let scaler = model.data().scaler.as_ref().unwrap();
    // Classes have none.
    let has: Vec<bool> = scaler.ranks.iter().map(|ranks| !ranks.is_empty()).collect();
    assert_eq!(has, [false, true, true, false]);
    // Beyond the numbers of the training as well.
    let filled = model.impute(&[vec![2.0, f64::NAN, 1e6, 2.0]], &[0], 100, 0).unwrap();
    assert!(filled[0].values[1].is_finite(), "{filled:?}");
}

/// Trains a model with further settings, and checks what it fills in.
fn filled_by_kinds(settings: &[&str]) -> (Pretrained, Vec<Imputation>) {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), &[&["train.epochs=200"], settings].concat()).unwrap();
    let columns = model.data().kinds.as_ref().unwrap();
    let kinds: Vec<(&str, ColumnKind)> =
        columns.iter().map(|column| (&*column.name, column.kind)).collect();
    let expected = [
        ("town", ColumnKind::Categorical),
        ("size", ColumnKind::Numeric),
        ("price", ColumnKind::Positive),
        ("rooms", ColumnKind::Ordinal),
    ];
    assert_eq!(kinds, expected);
    // Bonn, Trier and Ulm are 0, 1 and 2, and have sizes of about 21, 31 and 11.
    let nan = f64::NAN;
    let rows = [
        [nan, 21.0, nan, 3.0],
        [1.0, nan, nan, 1.0],
        [nan, nan, 21.0, 1.0],
        [0.0, 22.0, 317.0, nan],
    ];
    let rows = rows.map(Vec::from);
    let filled = model.impute(&rows, &[0, 1, 2, 3], 5000, 3).unwrap();
    for (row, filled) in rows.iter().zip(&filled) {
        for (&old, &new) in row.iter().zip(&filled.values) {
            assert!(old.is_nan() && new.is_finite() || old == new);
        }
    }
    assert_eq!((filled[0].values[0], filled[2].values[0]), (0.0, 2.0));
    let is_near = |value: f64, truth: f64, by: f64| (truth / by..truth * by).contains(&value);
    assert!(is_near(filled[0].values[2], 2.0 * 10f64.powf(2.1), 1.5), "{filled:?}");
    assert!(is_near(filled[1].values[1], 31.0, 1.1), "{filled:?}");
    assert!(is_near(filled[2].values[1], 10.2, 1.2), "{filled:?}");
    // The deviation of a number over orders of magnitude is in its own units.
    assert!((1.0..500.0).contains(&filled[0].deviations[2]), "{filled:?}");
    for draw in &filled[3].draws {
        assert!(draw[3].fract() == 0.0 && (0.0..=4.0).contains(&draw[3]), "{draw:?}");
        assert_eq!(draw[..3], rows[3][..3]);
    }
    // Denoising gives classes too.
    let cleaned = model.denoise(&rows);
    assert!(
        cleaned.iter().all(|row| row[0].fract() == 0.0 && row[3].fract() == 0.0),
        "{cleaned:?}"
    );
    (model, filled)
}

#[test]
fn what_a_network_of_tables_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (setting, why) in [
        ("model.network=mlp", "`data.kinds` is for the network `table`"),
        (
            "model.likelihood={ type = \"poisson\" }",
            "`model.likelihood` is that of the columns of numbers",
        ),
        (
            "model.likelihood={ type = \"optimal-normal\" }",
            "`model.likelihood` is that of the columns of numbers",
        ),
        ("corruption=gaussian:0.3", "would turn classes into fractions"),
        ("data.range={ between = [0, 9] }", "leave `data.range` out"),
        ("data.scaling=standard", "leave `data.scaling` out"),
        ("data.kinds={ town = \"numeric\" }", "column `town` cannot be numeric"),
        ("data.kinds={ hamlet = \"count\" }", "no column `hamlet`"),
        ("data.columns=[\"id\"]", "no column of it has cells to learn from"),
    ] {
        let error = match prepared(folder.path(), &[setting]) {
            Err(error) => error,
            Ok(_) => trained(folder.path(), &[setting, "train.epochs=1"]).unwrap_err(),
        };
        assert!(error.contains(why), "{setting}: {error}");
    }
}

#[test]
fn a_table_may_have_classes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "train.epochs=5",
        "data.columns=[\"town\", \"rooms\"]",
        "model.likelihood={ type = \"bernoulli\" }",
    ];
    let model = trained(folder.path(), &settings).unwrap();
    let file = folder.path().join("a.csv");
    let rows: Vec<Vec<f64>> = model
        .open(&file, &model.read_options())
        .unwrap()
        .map(|row| row.unwrap().values())
        .collect();
    assert!(rows.iter().any(|row| row[1] == 4.0), "a class beyond [0, 1]");
    let ids: Vec<u64> = (0..rows.len() as u64).collect();
    let filled = model.impute(&rows, &ids, 20, 0).unwrap();
    assert!(filled.iter().all(|row| row.values.iter().all(|class| class.fract() == 0.0)));
    let rows = model.read(&file, &model.read_options()).unwrap();
    // Nor is it measured on what it would not see.
    let (noise, bound) = ("gaussian:0.3".parse().unwrap(), Objective::default());
    let error = model.evaluate(&rows, &noise, &bound).unwrap_err().to_string();
    assert!(error.contains("would turn classes into fractions"), "{error}");
    assert!(model.evaluate(&rows, &"masking:0.3".parse().unwrap(), &bound).is_ok());
}

// Of scaled numbers the bound moves with the units; classes have none.
#[test]
fn the_bound_in_units_of_the_data_is_that_of_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let model =
        trained(folder.path(), &["train.epochs=1", "data.columns=[\"town\", \"size\"]"]).unwrap();
    let rows = model.validation().unwrap();
    let scale = model.data().scaler.as_ref().unwrap().scale[1];
    let shift = model.units_shift(&rows).unwrap();
    let observed = rows.observed_counts()[1] as f64 / rows.len() as f64;
    assert!((shift + observed * scale.ln()).abs() < 1e-9, "{shift}");
}

/// How far cells of this column are off that were filled in, as the root of their mean square, and their mean.
fn off(model: &Pretrained, rows: &[Vec<f64>], truth: &[Vec<f64>], column: usize) -> (f64, f64) {
    let ids: Vec<u64> = (0..rows.len() as u64).collect();
    let filled = model.impute(rows, &ids, 300, 0).unwrap();
    let missing = (0..rows.len()).filter(|&row| rows[row][column].is_nan());
    let errors: Vec<f64> =
        missing.map(|row| filled[row].values[column] - truth[row][column]).collect();
    let mean = |of: &dyn Fn(&f64) -> f64| errors.iter().map(of).sum::<f64>() / errors.len() as f64;
    (mean(&|error| error * error).sqrt(), mean(&|error| *error))
}

// Of three columns that are 1, 2 and 3 times a number and noise, the last is missing the more often the larger it is: a model of that
// knows that missing cells are larger than others of their kind, and one without it fills in cells as they are
// where they are there.
#[test]
fn cells_that_are_missing_because_they_are_large_are_filled_in_larger() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![];
    for at in 0..1500u32 {
        let noise = |k: u32| f64::from((at * 7919 + k * 104_729) % 1009) / 504.0 - 1.0;
        let base = noise(1) + noise(2) + noise(3);
        rows.push(vec![base + noise(4), 2.0 * base + noise(5), 3.0 * base + 3.0 * noise(6)]);
    }
    let truth = rows.clone();
    let mut text = "a,b,c\n".to_owned();
    for (at, row) in rows.iter_mut().enumerate() {
        let uniform = (at * 7919 % 1013) as f64 / 1013.0;
        if uniform < 1.0 / (1.0 + (-0.5 * row[2]).exp()) {
            row[2] = f64::NAN;
        }
        let cells = row.iter().map(|x| if x.is_nan() { String::new() } else { format!("{x:.4}") });
        writeln!(text, "{}", cells.collect::<Vec<_>>().join(",")).unwrap();
    }
    let train = |name: &str, likelihood: &str| {
        let config = format!(
            "corruption = \"none\"\n[data]\nsource = \"csv\"\npath = {:?}\nkinds = {{}}\nvalidation = 0.1\n\
             [model]\nlatent = 3\nnetwork = {{ type = \"table\", hidden = [32] }}\nlikelihood = {likelihood}\n\
             [train]\nepochs = 60\nbatch_size = 32\nlearning_rate = 0.003\n\
             objective = {{ bound = \"diwae\", latents = 5 }}\n",
            folder.path().join("a.csv")
        );
        std::fs::write(folder.path().join("a.csv"), &text).unwrap();
        std::fs::write(folder.path().join("a.toml"), config).unwrap();
        let experiment = Experiment::load(Some(&folder.path().join("a.toml")), &[]).unwrap();
        let mut run = Run::create_at(&experiment, folder.path().join(name)).unwrap();
        run.train(vec![], &Interrupt::new()).unwrap();
        run.model(Weights::Last, None).unwrap()
    };
    let normal = "{ type = \"learned-normal\", min_scale = 0.05 }";
    let without = train("without", normal);
    let masking = |missing: &str| {
        format!("{{ type = \"self-masking\", missing = \"{missing}\", of = {normal} }}")
    };
    let with = train("with", &masking("large"));
    let ((plain, low), (informed, bias)) =
        (off(&without, &rows, &truth, 2), off(&with, &rows, &truth, 2));
    assert!(low < -0.5 && bias.abs() < 0.35, "{low} {bias}");
    assert!(informed < 0.95 * plain, "{informed} {plain}");
    // Of the validation rows, those are hidden that would be missing rather than others.
    let intervals = with.imputation_intervals(0.95, &[0.0, 0.0, 0.4], 100).unwrap();
    let [from, to] = intervals.about(2, 1.0, 1.0).unwrap();
    assert!((0.5..4.0).contains(&(to - 1.0)) && (1.0 - from - (to - 1.0)).abs() < 1e-9);
    let ids = [0];
    let draws = &with.impute(&[vec![1.0, 2.0, f64::NAN]], &ids, 300, 400).unwrap()[0];
    let mean = draws.draws.iter().map(|draw| draw[2]).sum::<f64>() / 400.0;
    assert!((mean - draws.values[2]).abs() < 5.0 * draws.deviations[2] / 10.0, "{mean}");
    let error = prepared(
        folder.path(),
        &["model.likelihood={ type = \"self-masking\", of = { type = \"student-t\" } }"],
    );
    let error = error.unwrap_err();
    assert!(error.contains("has no closed form"), "{error}");
}

// The size tells the class. One class is never missing: of a line without both, it is the least probable one.
#[test]
fn a_class_that_is_never_missing_is_not_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "kind,size\n".to_owned();
    for at in 0..600u32 {
        let kind = ["a", "b", "c"][(at % 3) as usize];
        let is_hole = at % 3 != 0 && at % 2 == 0;
        let size = 10 * (at % 3) + at % 4;
        writeln!(text, "{},{size}.5", if is_hole { "" } else { kind }).unwrap();
    }
    std::fs::write(folder.path().join("k.csv"), text).unwrap();
    let path = format!("data.path={}", folder.path().join("k.csv").display());
    let likelihood = |is_masking: bool| {
        let normal = "{ type = \"learned-normal\", min_scale = 0.1 }";
        match is_masking {
            true => format!("model.likelihood={{ type = \"self-masking\", of = {normal} }}"),
            false => format!("model.likelihood={normal}"),
        }
    };
    std::fs::write(folder.path().join("a.toml"), EXPERIMENT).unwrap();
    let found = [true, false].map(|is_masking| {
        let settings = [
            "train.epochs=40".to_owned(),
            "corruption=none".to_owned(),
            path.clone(),
            likelihood(is_masking),
        ];
        let experiment = Experiment::load(Some(&folder.path().join("a.toml")), &settings).unwrap();
        let mut run =
            Run::create_at(&experiment, folder.path().join(format!("{is_masking}"))).unwrap();
        run.train(vec![], &Interrupt::new()).unwrap();
        let model = run.model(Weights::Last, None).unwrap();
        let rows = vec![vec![f64::NAN; 2]; 300];
        let ids: Vec<u64> = (0..300).collect();
        let filled = model.impute(&rows, &ids, 100, 1).unwrap();
        filled.iter().filter(|filled| filled.draws[0][0] == 0.0).count()
    });
    assert!(found[0] < 30 && found[1] > 60, "{found:?}");
}

// The network finds what is wrong by itself: it is shown which cells are hidden, and not which were swapped.
#[test]
fn a_table_is_learned_from_swapped_cells_and_measured_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), &["train.epochs=30", "corruption=swap:0.15+masking:0.1"]);
    let model = model.unwrap();
    let rows = model.held_out().unwrap().rows;
    let bound = |corruption: &str| {
        let objective = Objective::default();
        model.evaluate(&rows, &corruption.parse().unwrap(), &objective).unwrap().mean.elbo
    };
    let [clean, swapped, flipped] = ["none", "swap:0.3", "category-flip:0.3"].map(bound);
    assert!(clean > swapped && clean > flipped, "{clean} {swapped} {flipped}");
    // The data must be where they were: other cells come from them.
    std::fs::remove_file(folder.path().join("a.csv")).unwrap();
    let model = dvae::from_pretrained(folder.path().join("run")).unwrap();
    let error = model.evaluate(&rows, &"swap:0.3".parse().unwrap(), &Objective::default());
    assert!(error.unwrap_err().to_string().contains("a.csv"));
    assert!(model.evaluate(&rows, &"masking:0.3".parse().unwrap(), &Objective::default()).is_ok());
}

// A scale that columns share is that of each column for itself, as before; others are learned side by side.
#[test]
fn adjacent_columns_of_one_likelihood_are_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let groups = |likelihood: &str| {
        let setting = format!("model.likelihood={likelihood}");
        let prepared = prepared(folder.path(), &[&setting, "data.kinds={ rooms = \"numeric\" }"]);
        let Prepared { experiment, data, .. } = prepared.unwrap();
        let old = PreparedData { groups_columns: false, ..data.clone() };
        [data, old].map(|data| match experiment.likelihood_for(&data) {
            LikelihoodConfig::Columns { groups } => {
                groups.iter().map(|group| group.columns).collect()
            }
            _ => vec![],
        })
    };
    assert_eq!(groups("{ type = \"learned-normal\" }"), [vec![1, 3], vec![1; 4]]);
    assert_eq!(groups("{ type = \"shared-normal\" }"), [vec![1; 4], vec![1; 4]]);
}

// A run of before, whose ordinal texts had no order: its data are read as they were, and its classes are as others.
#[test]
fn ordinal_texts_of_runs_from_before_stay_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let known = prepared(folder.path(), &["data.kinds={ town = \"categorical\" }"]).unwrap();
    let mut data = known.data.clone();
    let towns = data.kinds.as_mut().unwrap().iter_mut().find(|column| column.name == "town");
    towns.unwrap().kind = ColumnKind::Ordinal;
    data.orders_classes = false;
    let mut experiment = known.experiment.clone();
    if let dvae::DataSource::Csv { kinds: Some(kinds), .. } = &mut experiment.data.source {
        kinds.insert("town".to_owned(), ColumnKind::Ordinal.into());
    }
    let (again, rows) = experiment.load_data(Some(&data)).unwrap();
    assert_eq!(again.kinds, data.kinds);
    assert_eq!(rows.train.checksum(), known.rows.train.checksum());
    let LikelihoodConfig::Columns { groups } = experiment.likelihood_for(&again) else {
        panic!("one likelihood for each kind")
    };
    assert!(groups.contains(&dvae::distributions::ColumnGroup {
        columns: 1,
        likelihood: LikelihoodConfig::Categorical { classes: 3 }
    }));
    let error = experiment.load_data(None).unwrap_err().to_string();
    assert!(error.contains("texts have no order of their own"), "{error}");
}
