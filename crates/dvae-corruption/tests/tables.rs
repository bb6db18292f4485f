//! What the processes of tables promise.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor};
use dvae_corruption::{
    CorruptedInput, Corruption, CorruptionConfig, CorruptionContext, Domain, Level, ShowMask,
    TableColumnRows, TableRows,
};
use dvae_random::{Key, Purpose, RowStreams};

const ROWS: usize = 4000;

fn draws(ids: &[u64]) -> RowStreams {
    Key::new(11).purpose(Purpose::Corruption).epoch(2).rows(ids)
}

/// The cell of a row: numbers with many values, numbers with few, and classes.
fn cell(id: u64, column: usize) -> f32 {
    let id = id as f32;
    match column {
        0 => (id * 0.7).sin() * 3.0 + 10.0 + id * 1e-6,
        1 => (id * 1.3).cos().round() * 2.0,
        _ => (id % 3.0).round(),
    }
}

fn rows(ids: &[u64]) -> Tensor<2> {
    let cells: Vec<f32> = ids.iter().flat_map(|&id| [0, 1, 2].map(|at| cell(id, at))).collect();
    Tensor::<1>::from_data(cells.as_slice(), &Device::flex()).reshape([ids.len(), 3])
}

/// A table of the first 3,000 rows; every tenth cell of the first column is missing.
fn table() -> CorruptionContext {
    let column = |at: usize| {
        let is_hole = move |id: u64| at == 0 && id % 10 == 3;
        let cells =
            (0..3000).map(move |id| (id, if is_hole(id) { f32::NAN } else { cell(id, at) }));
        TableColumnRows::new(["size", "step", "kind"][at].to_owned(), [0, 0, 3][at], cells)
    };
    let table = Some(Arc::new(TableRows::new((0..3).map(column).collect())));
    CorruptionContext { domain: Domain::Real, table, texts: None }
}

fn built(text: &str) -> Box<dyn Corruption<2>> {
    text.parse::<CorruptionConfig>().unwrap().build(table()).unwrap()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn flags(tensor: Tensor<2, Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}

fn ids() -> Vec<u64> {
    (0..ROWS as u64).collect()
}

/// The values, and which cells were changed and hidden, of all rows.
fn damaged(process: &dyn Corruption<2>) -> (Vec<f32>, Vec<bool>, Vec<bool>) {
    let CorruptedInput { input, changed, hidden } =
        process.corrupt(rows(&ids()), &mut draws(&ids()));
    (values(input), flags(changed), hidden.map_or(vec![false; 3 * ROWS], flags))
}

/// The share of true flags of a column.
fn share(flags: &[bool], column: usize) -> f64 {
    flags.iter().skip(column).step_by(3).filter(|&&flag| flag).count() as f64 / ROWS as f64
}

#[test]
fn damage_is_that_of_the_row_and_changed_is_where_it_is() {
    let clean = values(rows(&ids()));
    for config in CorruptionConfig::for_tables() {
        let (name, process) = (config.name(), config.build::<2>(table()).unwrap());
        let (input, changed, hidden) = damaged(&*process);
        assert!(changed.contains(&true), "{name}");
        assert_eq!(hidden.contains(&true), name.starts_with("masking"), "{name}");
        for at in 0..clean.len() {
            assert_eq!(changed[at], hidden[at] || input[at] != clean[at], "{name}, {at}");
            assert!(!hidden[at] || input[at] == 0.0, "{name}");
            // What is no longer a class is no class's number.
            assert!(at % 3 != 2 || [0.0, 1.0, 2.0].contains(&input[at]), "{name}: {}", input[at]);
        }
        let alone = process.corrupt(rows(&[17, 2999]), &mut draws(&[17, 2999]));
        let alone = values(alone.input);
        assert_eq!(alone[..3], input[3 * 17..3 * 18], "{name}");
        assert_eq!(alone[3..], input[3 * 2999..3 * 3000], "{name}");
        let null = damaged(&*process.at_null().unwrap());
        assert!(null.0 == clean && !null.1.contains(&true) && !null.2.contains(&true), "{name}");
        // Part of a file or a line, it is the same process.
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<CorruptionConfig>(&text).unwrap(), config, "{text}");
        assert!(config.needs_table() && config.keeps_classes(), "{name}");
    }
}

#[test]
fn without_its_columns_a_process_says_what_it_needs() {
    for config in CorruptionConfig::for_tables() {
        let error = config.build::<2>(Domain::Real).unwrap_err().to_string();
        assert!(error.contains("it is for the rows of a table"), "{error}");
        let process = config.build::<2>(table()).unwrap();
        process.check(&[3]).unwrap();
        for event in [&[4][..], &[3, 1]] {
            let error = process.check(event).unwrap_err().to_string();
            assert!(error.contains("rows of a table, of 3 cells"), "{error}");
        }
    }
    let by = |name: &str| {
        let text = format!("process = \"masking-by-column\"\nby = \"{name}\"");
        toml::from_str::<CorruptionConfig>(&text).unwrap().build::<2>(table())
    };
    assert!(by("kind").is_ok());
    let error = by("weight").unwrap_err().to_string();
    assert!(error.contains("no column `weight`: the table has `size`, `step`, `kind`"), "{error}");
    assert!("masking-by-value:1.5".parse::<CorruptionConfig>().is_err());
}

// At a rate of 1, each cell is another row's. Each of the others comes equally often: of the numbers of the first column, which are
// all different, none is the row's own, of a missing cell, or of a row that the table does not have.
#[test]
fn swapped_cells_are_those_of_other_training_rows() {
    let (input, changed, _) = damaged(&*built("swap:1"));
    let known: Vec<f32> = (0..3000).filter(|id| id % 10 != 3).map(|id| cell(id, 0)).collect();
    for id in ids() {
        let found = input[3 * id as usize];
        assert!(known.contains(&found) && found != cell(id, 0), "{id}: {found}");
    }
    assert_eq!(share(&changed, 0), 1.0);
    // A third of the rows is of each class, so two thirds change, within five standard errors.
    assert!((share(&changed, 2) - 2.0 / 3.0).abs() < 5.0 * (2.0f64 / 9.0 / ROWS as f64).sqrt());
    let mean = input.iter().step_by(3).map(|&x| f64::from(x)).sum::<f64>() / ROWS as f64;
    assert!((mean - 10.0).abs() < 5.0 * 2.12 / (ROWS as f64).sqrt(), "{mean}");
    let rate = share(&damaged(&*built("swap:0.2")).1, 0);
    assert!((rate - 0.2).abs() < 5.0 * (0.16 / ROWS as f64).sqrt(), "{rate}");
}

#[test]
fn what_is_hidden_depends_on_the_cell_or_on_a_column() {
    let mean_of = |flags: &[bool], wanted: bool, column: usize, of: usize| {
        let rows = (0..ROWS).filter(|row| flags[3 * row + column] == wanted);
        let cells: Vec<f64> = rows.map(|row| f64::from(cell(row as u64, of))).collect();
        cells.iter().sum::<f64>() / cells.len() as f64
    };
    let (_, _, by_value) = damaged(&*built("masking-by-value:0.3"));
    assert!((share(&by_value, 0) - 0.3).abs() < 0.05, "{}", share(&by_value, 0));
    assert!(mean_of(&by_value, true, 0, 0) > mean_of(&by_value, false, 0, 0) + 1.5);
    // By the first column alone: of it nothing is hidden, and others whatever they are themselves.
    let (_, _, by_column) = damaged(&*built("masking-by-column:0.3"));
    assert_eq!(share(&by_column, 0), 0.0);
    assert!(mean_of(&by_column, true, 1, 0) > mean_of(&by_column, false, 1, 0) + 1.5);
    assert!((mean_of(&by_column, true, 1, 1) - mean_of(&by_column, false, 1, 1)).abs() < 0.25);
}

// Of a row that is left alone, or beside the part, nothing is hidden; an error names what is not known of a part.
#[test]
fn what_is_hidden_passes_through_every_combination() {
    let config = r#"{"process": "sometimes", "probability": 0.5, "of": {"process": "masking", "level": 1.0}}"#;
    let config: CorruptionConfig = serde_json::from_str(config).unwrap();
    let (input, changed, hidden) = damaged(&*config.build::<2>(table()).unwrap());
    assert_eq!(changed, hidden);
    for row in 0..ROWS {
        let cells = 3 * row..3 * row + 3;
        assert!([0, 3].contains(&hidden[cells.clone()].iter().filter(|&&hidden| hidden).count()));
        assert!(!hidden[cells.start] || input[cells.clone()] == [0.0; 3]);
    }
    let part = r#"{"process": "part", "channels": [1], "lines": [0, 1], "of": {"process": "masking", "level": 1.0}}"#;
    let part: CorruptionConfig = serde_json::from_str(part).unwrap();
    let part = part.build::<4>(Domain::Real).unwrap();
    let images = Tensor::<4>::ones([1, 2, 2, 2], &Device::flex());
    let hidden = part.corrupt(images, &mut draws(&[1])).hidden.unwrap();
    let hidden: Vec<bool> = hidden.into_data().iter::<bool>().collect();
    assert_eq!(hidden, [false, false, false, false, true, true, false, false]);
    // Parameters of a part are right or wrong without its table.
    let by = |rate: f64| {
        let text = format!(
            "process = \"sometimes\"\nprobability = 0.5\n\
             of = {{ process = \"masking-by-column\", level = {rate}, by = \"size\" }}"
        );
        toml::from_str::<CorruptionConfig>(&text).unwrap().strength().is_some()
    };
    assert!(by(0.5) && !by(1.5));
    let dropped = built("dropout:0.5").corrupt(rows(&[1, 2]), &mut draws(&[1, 2]));
    let hidden = flags(dropped.hidden.unwrap());
    assert!(values(dropped.input).iter().zip(&hidden).all(|(&x, &hidden)| !hidden || x == 0.0));
    assert!(hidden.contains(&true) && hidden.contains(&false));
}

// What is hidden is shown, and what is wrong is not, however processes are combined.
#[test]
fn combinations_keep_what_is_hidden_apart_from_what_is_wrong() {
    let config = r#"{"process": "sequence", "of": [{"process": "swap", "level": 0.3},
        {"process": "one-of", "of": [{"process": "masking", "level": 0.4}, {"process": "jitter"}]},
        {"process": "masking-by-value", "level": 0.1}]}"#;
    let config: CorruptionConfig = serde_json::from_str(config).unwrap();
    let process = config.build::<2>(table()).unwrap();
    let (input, changed, hidden) = damaged(&*process);
    let (all, some) = (share(&changed, 0), share(&hidden, 0));
    assert!((0.2..0.4).contains(&some) && all > some + 0.3, "{all} {some}");
    assert!(hidden.iter().zip(&input).all(|(&hidden, &x)| !hidden || x == 0.0));
    assert!(hidden.iter().zip(&changed).all(|(&hidden, &changed)| !hidden || changed));
    for (is_of_hidden, expected) in [(true, &hidden), (false, &changed)] {
        let process = config.build::<2>(table()).unwrap();
        let shown = match is_of_hidden {
            true => ShowMask::of_hidden(process).unwrap(),
            false => ShowMask::new(process).unwrap(),
        };
        for level in [Level::Fixed(1.0), Level::Fixed(0.0)] {
            let process: Box<dyn Corruption<2>> = shown.at_level(level).unwrap();
            let input = process.corrupt(rows(&ids()), &mut draws(&ids())).input;
            let mask: Vec<bool> = values(input.narrow(1, 3, 3)).iter().map(|&x| x == 1.0).collect();
            let is_null = level == Level::Fixed(0.0);
            assert_eq!(mask, if is_null { vec![false; 3 * ROWS] } else { expected.clone() });
        }
    }
}
