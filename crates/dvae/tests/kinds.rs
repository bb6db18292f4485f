//! Tables of numbers and classes: how they are learned, and what fills them in.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Write;
use std::path::Path;

use dvae::data::ColumnKind;
use dvae::losses::Objective;
use dvae::train::Interrupt;
use dvae::{Experiment, Pretrained, Run, Weights};

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
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), &["train.epochs=60"]).unwrap();
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
    let filled = model.impute(&rows, &[0, 1, 2, 3], 500, 3).unwrap();
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
    assert!(filled[0].deviations[0] < 0.5, "{filled:?}");
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
        ("corruption=gaussian:0.3", "erase cells by `masking`"),
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
    assert!(error.contains("erase cells by `masking`"), "{error}");
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
