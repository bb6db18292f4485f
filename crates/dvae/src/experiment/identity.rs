//! The identity of a run, and its description in the metadata of weights.

use std::path::Path;

use dvae_eval::Calibration;
use dvae_models::AutoencoderConfig;
use dvae_train::{Difference, Settings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Experiment, ExperimentError, PreparedData, RepairCalibration, layers};

/// What a resumed run must share with the session before it, besides its rows and the settings of its training:
/// neither names nor places, but what decides the result.
pub(super) fn identity(
    experiment: &Experiment,
    data: &PreparedData,
) -> Result<Settings, ExperimentError> {
    let mut table = deciding(experiment)?;
    table.remove("train"); // The trainer compares it.
    let mut data = table_of(data)?;
    // The trainer compares the rows; how they were stored does not matter.
    data.retain(|key, _| !["checksum", "test_checksum", "element"].contains(&key.as_str()));
    table.insert("prepared".to_owned(), Value::Object(data));
    Ok(Settings::of(&Value::Object(table)))
}

/// Checks that the run in this folder may go on as the experiment `asked`: with data in another place, another
/// name or back end, other checkpoints, or more epochs.
pub(super) fn check_resumed(
    run: &Path,
    own: &Experiment,
    asked: &Experiment,
) -> Result<(), ExperimentError> {
    let (mut own_table, mut asked_table) = (deciding(own)?, deciding(asked)?);
    if asked.train.epochs >= own.train.epochs {
        for table in [&mut own_table, &mut asked_table] {
            inner(table, "train").remove("epochs");
        }
    }
    let settings = [own_table, asked_table].map(|table| Settings::of(&Value::Object(table)));
    match settings[0].difference(&settings[1]) {
        Some(Difference { key, own, other }) => {
            Err(ExperimentError::Resume { run: run.into(), key, own, asked: other })
        }
        None => Ok(()),
    }
}

/// Adds to a refused setting the place that it comes from: the last of the `settings` with its key or with a
/// table around it, or else a variable of the environment.
pub(super) fn placed(error: ExperimentError, settings: &[String]) -> ExperimentError {
    let ExperimentError::Resume { key, .. } = &error else { return error };
    let ends = key.match_indices('.').map(|(end, _)| end).chain([key.len()]);
    let keys: Vec<&str> = ends.map(|end| &key[..end]).collect();
    let key_of = |setting: &String| setting.split_once('=').map(|(own, _)| own.trim().to_owned());
    let sets = |setting: &&String| key_of(setting).is_some_and(|own| keys.contains(&own.as_str()));
    let variable = keys.iter().map(|key| layers::variable(key));
    let variable = variable.rev().find(|name| std::env::var_os(name).is_some());
    let place = match (settings.iter().rfind(sets), variable) {
        (Some(setting), _) => format!("--set {setting}"),
        (None, Some(name)) => format!("the environment variable {name}"),
        (None, None) => return error,
    };
    ExperimentError::Config { place, reason: error.to_string() }
}

/// The keys of an experiment that decide its result. Of a file with test rows only the presence counts.
fn deciding(experiment: &Experiment) -> Result<Map<String, Value>, ExperimentError> {
    let mut table = table_of(experiment)?;
    table.retain(|key, _| !["name", "backend"].contains(&key.as_str()));
    inner(&mut table, "train")
        .retain(|key, _| !["checkpoint", "keep", "time_limit"].contains(&key.as_str()));
    let data = inner(&mut table, "data");
    // Of pairs of wrong and right texts what was learned is among the prepared data.
    for key in ["path", "memory", "typos"] {
        data.remove(key);
    }
    if let Some(path) = data.get_mut("test_path") {
        *path = json!("a file");
    }
    // The checksum of the rows is one of their damaged counterparts too.
    if let Some(path) = data.get_mut("pairs").and_then(|pairs| pairs.get_mut("path")) {
        *path = json!("a folder");
    }
    Ok(table)
}

fn table_of(value: &impl Serialize) -> Result<Map<String, Value>, ExperimentError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(table)) => Ok(table),
        Ok(other) => unreachable!("a struct is a table, not {other}"),
        Err(error) => Err(ExperimentError::Settings(error.to_string())),
    }
}

fn inner<'a>(table: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    table.get_mut(key).and_then(Value::as_object_mut).expect("a table of every experiment")
}

/// What was learned on held-out rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calibrations<'a> {
    pub(super) calibration: Option<&'a Calibration>,
    pub(super) repairs: Option<&'a RepairCalibration>,
}

/// What weights say of themselves.
pub(super) struct Described {
    pub(super) experiment: Experiment,
    pub(super) data: PreparedData,
    pub(super) calibration: Option<Calibration>,
    pub(super) repairs: Option<RepairCalibration>,
}

/// An experiment, what its data determined and what was learned on held-out rows, as TOML for the metadata of weights: everything
/// except where it runs.
pub(super) fn description(
    experiment: &Experiment,
    data: &PreparedData,
    calibrations: Calibrations<'_>,
) -> Result<String, ExperimentError> {
    #[derive(Serialize)]
    struct Stored<'a> {
        prepared: &'a PreparedData,
        #[serde(skip_serializing_if = "Option::is_none")]
        calibration: Option<&'a Calibration>,
        #[serde(skip_serializing_if = "Option::is_none")]
        repairs: Option<&'a RepairCalibration>,
    }
    let Calibrations { calibration, repairs } = calibrations;
    let experiment = Experiment { backend: None, ..experiment.clone() }.to_toml()?;
    let prepared = toml::to_string(&Stored { prepared: data, calibration, repairs })
        .map_err(|error| ExperimentError::Settings(error.to_string()))?;
    Ok(format!("{experiment}\n{prepared}"))
}

/// The model as its data made it, and what the data decided, as TOML.
pub(super) fn model_settings(
    model: &AutoencoderConfig,
    prepared: &PreparedData,
) -> Result<String, ExperimentError> {
    #[derive(Serialize)]
    struct Stored<'a> {
        model: &'a AutoencoderConfig,
        prepared: &'a PreparedData,
    }
    let text = toml::to_string(&Stored { model, prepared });
    text.map_err(|error| ExperimentError::Settings(error.to_string()))
}

/// Parses a [`description`]; `place` is the source that an error names.
pub(super) fn described(text: &str, place: &str) -> Result<Described, ExperimentError> {
    let failed = |reason: String| ExperimentError::Config { place: place.to_owned(), reason };
    let mut table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let data = table.remove("prepared").ok_or_else(|| {
        failed("it does not say what its data decided: the table `prepared` is missing".to_owned())
    })?;
    let data = data.try_into().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let calibration: Option<Calibration> =
        learned(table.remove("calibration"), Calibration::check).map_err(failed)?;
    let repairs: Option<RepairCalibration> =
        learned(table.remove("repairs"), RepairCalibration::check).map_err(failed)?;
    let experiment =
        table.try_into().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    Ok(Described { experiment, data, calibration, repairs })
}

/// What was learned on held-out rows, if it is there, checked.
fn learned<T: DeserializeOwned>(
    table: Option<toml::Value>,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Option<T>, String> {
    let Some(table) = table else { return Ok(None) };
    let learned = table.try_into().map_err(|error: toml::de::Error| error.to_string())?;
    check(&learned).map(|()| Some(learned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_data::Element;

    fn experiment(settings: &[&str]) -> Experiment {
        let table = ["data.source=csv", "data.path=a.csv", "data.test_path=t.csv"];
        let settings: Vec<String> =
            table.iter().chain(settings).map(|&setting| setting.to_owned()).collect();
        Experiment::layered(None, [], &settings).unwrap()
    }

    fn checked(changes: &[&str]) -> Result<(), String> {
        let (own, asked) = (experiment(&[]), experiment(changes));
        check_resumed(Path::new("runs/x"), &own, &asked).map_err(|error| error.to_string())
    }

    #[test]
    fn names_places_and_checkpoints_do_not_decide_the_result() {
        let free = [
            "data.path=b.csv",
            "data.test_path=u.csv",
            "name=other",
            "backend=ndarray",
            "train.checkpoint={ steps = 7 }",
            "train.keep=9",
            "train.epochs=21",
        ];
        assert_eq!(checked(&free), Ok(()));
        let data = PreparedData {
            element: Some(Element::F32),
            checksum: Some(1),
            ..PreparedData::default()
        };
        let moved = PreparedData { element: Some(Element::F64), checksum: Some(2), ..data.clone() };
        assert_eq!(
            identity(&experiment(&[]), &data).unwrap(),
            identity(&experiment(&free), &moved).unwrap()
        );
        let columns = PreparedData { columns: Some(vec!["a".to_owned()]), ..data.clone() };
        let own = identity(&experiment(&[]), &data).unwrap();
        let named = identity(&experiment(&[]), &columns).unwrap();
        assert_eq!(own.difference(&named).unwrap().key, "prepared.columns");
    }

    #[test]
    fn a_setting_that_decides_the_result_is_named_with_both_values() {
        for (change, expected) in [
            ("train.epochs=19", "`train.epochs` is 20 in the run runs/x, and cannot become 19"),
            ("train.batch_size=5", "`train.batch_size` is 128 in the run runs/x"),
            ("train.validate={ epochs = 2 }", "`train.validate.epochs` is 1 in the run runs/x"),
            ("model.network=mlp", "`model.network.type` is \"conv\" in the run runs/x"),
            ("corruption=masking:0.5", "`corruption.level` is 0.25 in the run runs/x"),
            ("corruption=gaussian:0.5", "`corruption."),
            ("data.seed=3", "`data.seed` is 1 in the run runs/x"),
        ] {
            let error = checked(&[change]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let without = Experiment::layered(
            None,
            [],
            &["data.source=csv".to_owned(), "data.path=a.csv".to_owned()],
        );
        let error = check_resumed(Path::new("x"), &experiment(&[]), &without.unwrap()).unwrap_err();
        let expected = "`data.test_path` is \"a file\" in the run x, and cannot become not set";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn the_place_of_damaged_pictures_does_not_decide_the_result() {
        let of = |place: &str| {
            let settings = [
                "data.source=images".to_owned(),
                "data.path=clean".to_owned(),
                "data.crops={ shape = [1, 8, 8] }".to_owned(),
                format!("data.pairs={{ type = \"damaged\", path = \"{place}\" }}"),
            ];
            Experiment::layered(None, [], &settings).unwrap()
        };
        check_resumed(Path::new("runs/x"), &of("noisy"), &of("/elsewhere/noisy")).unwrap();
    }

    #[test]
    fn a_refused_setting_is_placed() {
        let refused = || ExperimentError::Resume {
            run: "x".into(),
            key: "train.seed".to_owned(),
            own: "1".to_owned(),
            asked: "2".to_owned(),
        };
        let settings = ["train.seed = 2".to_owned(), "train.keep=3".to_owned()];
        let error = placed(refused(), &settings).to_string();
        assert!(error.starts_with("--set train.seed = 2: `train.seed` is 1"), "{error}");
        let table = ["train={ seed = 2 }".to_owned()];
        assert!(placed(refused(), &table).to_string().starts_with("--set train={ seed = 2 }: "));
        assert!(placed(refused(), &[]).to_string().starts_with("`train.seed` is 1"));
    }
}
