//! Processes by name: texts, files, and what is wrong with them.

#![allow(clippy::unwrap_used)] // A test may panic.

use dvae_corruption::{CorruptionConfig, Level};

#[test]
fn texts_name_processes_or_say_what_is_wrong() {
    for (text, expected) in [
        ("gaussian", "gaussian, sigma 0.3"),
        ("gaussian:0.25", "gaussian, sigma 0.25"),
        ("motion-blur@5", "motion blur, length 10"),
        ("masking:0.1..0.5", "masking, rate 0.1..0.5"),
        ("gaussian:1e-1+shot:1e-1", "gaussian, sigma 0.1 + shot, gain 0.1"),
        ("gaussian:1e+1", "gaussian, sigma 10"),
        ("jpeg + masking:0.5", "jpeg, coarseness 3.5 + masking, rate 0.5"),
        ("none", "none"),
        (
            "mixed",
            "one of: none, gaussian, sigma 0.3, masking, rate 0.5, salt and pepper, rate 0.2",
        ),
    ] {
        let config: CorruptionConfig = text.parse().unwrap();
        assert_eq!(config.to_string(), expected);
    }
    for (text, needle) in [
        ("gauss", "`gauss` is not a corruption"),
        ("gauss", "known are none, mixed, gaussian, uniform, laplace"),
        ("gaussian:x", "`x` is not a level: write a number"),
        ("gauss:x", "`gauss:x` is not a corruption"),
        ("gaussian:-1", "`sigma` must be between 0 and 1e30, but is -1"),
        ("gaussian@0", "`severity` must be between 1 and 5, but is 0"),
        ("masking:nan", "between 0 and 1, but is NaN"),
        ("masking:1.5", "`rate`"),
        (
            "masking:0.5..0.1",
            "masking: `rate` must be two finite numbers, the lower first, but is [0.5, 0.1]",
        ),
        ("mixed:3", "`mixed:3`"),
        ("none:3", "`none:3`"),
        ("sequence", "`sequence`"),
        ("jpeg+", "`` is not a corruption"),
    ] {
        let error = text.parse::<CorruptionConfig>().unwrap_err().to_string();
        assert!(error.contains(needle), "{text}: {error}");
    }
}

const FILE: &str = r#"
process = "one-of"
weights = [3.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]
of = [
    { process = "gaussian", level = 0.3, clip = [0.0, 1.0] },
    { process = "motion-blur", level = { severity = 4 } },
    { process = "sequence", of = [{ process = "jpeg" }, { process = "masking", level = "0.1..0.5", fill = 1 }] },
    { process = "sometimes", probability = 0.25, of = { process = "occlusion", count = 3, shape = "stripes" } },
    { process = "masking", level = { log-uniform = [0.1, 0.5] }, fill = [0.5, 0.25] },
    { process = "sometimes", probability = 1.0, of = { process = "haze", level = { linear = [0, 1] } } },
    { process = "shot", level = { cosine = [0.01, 0.1] } },
    { process = "shot", level = { step = { from = 0, to = 0.1, steps = 3 } } },
    { process = "part", of = { process = "gaussian-blur", kernel = 5, level = { cyclical = { from = 0, to = 2, cycles = 3 } } }, channels = [0], lines = [2, 9] },
]
"#;

#[test]
fn files_come_back_as_they_were() {
    let config: CorruptionConfig = toml::from_str(FILE).unwrap();
    config.build::<4>().unwrap();
    let shown = CorruptionConfig::ShowMask { of: Box::new(config.clone()) };
    for config in CorruptionConfig::all().into_iter().chain([config, shown]) {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<CorruptionConfig>(&json).unwrap(), config, "{json}");
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<CorruptionConfig>(&toml).unwrap(), config, "{toml}");
    }
}

#[test]
fn every_level_has_its_form_in_a_file() {
    for (file, expected) in [
        ("level = 2", Level::Fixed(2.0)),
        ("level = { fixed = 0.5 }", Level::Fixed(0.5)),
        ("level = { severity = 4 }", Level::Severity(4)),
        ("level = '@4'", Level::Severity(4)),
        ("level = { uniform = [0, 0.5] }", Level::Uniform([0.0, 0.5])),
        ("level = { log-uniform = [0.01, 0.5] }", Level::LogUniform([0.01, 0.5])),
        ("level = { linear = [0, 0.5] }", Level::Linear([0.0, 0.5])),
        ("level = { cosine = [0, 0.5] }", Level::Cosine([0.0, 0.5])),
        (
            "level = { step = { from = 0, to = 1, steps = 5 } }",
            Level::Step { from: 0.0, to: 1.0, steps: 5 },
        ),
    ] {
        let config: CorruptionConfig =
            toml::from_str(&format!("process = 'gaussian'\n{file}")).unwrap();
        assert_eq!(config, CorruptionConfig::Gaussian { level: expected, clip: None });
    }
}

#[test]
fn files_are_refused_with_what_is_wrong() {
    for (file, needle) in [
        (r#"{"process": "none", "rate": 0.5}"#, "unknown field `rate`"),
        (r#"{"process": "masking", "level": 0.5, "sigma": 1}"#, "unknown field `sigma`"),
        (r#"{"process": "mask", "level": 0.5}"#, "unknown variant `mask`"),
        (r#"{"level": 0.5}"#, "missing field `process`"),
        (r#"{"process": "masking", "level": "much"}"#, "expected a level: a number"),
        (r#"{"process": "masking", "level": {"unifrm": [0, 1]}}"#, "unknown variant `unifrm`"),
        (
            r#"{"process": "masking", "level": {"step": {"from": 0, "to": 1}}}"#,
            "missing field `steps`",
        ),
        (r#"{"process": "masking", "fill": "zero"}"#, "`fill` must be a number"),
        (r#"{"process": "one-of"}"#, "missing field `of`"),
    ] {
        let error = serde_json::from_str::<CorruptionConfig>(file).unwrap_err().to_string();
        assert!(error.contains(needle), "{file}: {error}");
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    for (file, needle) in [
        (
            r#"{"process": "gaussian", "clip": [1, 0]}"#,
            "gaussian: `clip` must be two finite numbers, the lower first, but is [1, 0]",
        ),
        (r#"{"process": "gaussian-blur", "kernel": 4}"#, "`kernel` must be odd"),
        (
            r#"{"process": "gaussian-blur", "kernel": 0}"#,
            "`kernel` must be between 1 and 255, but is 0",
        ),
        (
            r#"{"process": "gaussian-blur", "level": 33}"#,
            "`sigma` must be between 0 and 32, but is 33",
        ),
        (
            r#"{"process": "occlusion", "level": 1.5}"#,
            "`share` must be between 0 and 1, but is 1.5",
        ),
        (r#"{"process": "occlusion", "count": 0}"#, "`count` must be between 1 and 1000, but is 0"),
        (r#"{"process": "occlusion", "fill": 2}"#, "`fill` must be between 0 and 1, but is 2"),
        (r#"{"process": "zoom", "level": 0.5}"#, "`factor` must be between 1 and 8, but is 0.5"),
        (
            r#"{"process": "jpeg", "level": {"severity": 9}}"#,
            "`severity` must be between 1 and 5, but is 9",
        ),
        (r#"{"process": "one-of", "of": []}"#, "`one-of` needs at least one process"),
        (r#"{"process": "sequence", "of": []}"#, "`sequence` needs at least one process"),
        (r#"{"process": "one-of", "of": [{"process": "jpeg"}], "weights": [0]}"#, "`weights`"),
        (
            r#"{"process": "sometimes", "probability": 2, "of": {"process": "jpeg"}}"#,
            "`probability` must be between 0 and 1, but is 2",
        ),
        (r#"{"process": "part", "channels": [], "of": {"process": "jpeg"}}"#, "`channels`"),
        (r#"{"process": "part", "lines": [5, 5], "of": {"process": "jpeg"}}"#, "`lines`"),
    ] {
        let config: CorruptionConfig = serde_json::from_str(file).unwrap();
        let error = config.build::<4>().unwrap_err().to_string();
        assert!(error.contains(needle), "{file}: {error}");
    }
    let blur: CorruptionConfig = "gaussian-blur".parse().unwrap();
    let error = blur.build::<2>().unwrap_err().to_string();
    assert_eq!(
        error,
        "gaussian-blur: it is for images [batch, channels, height, width], not for rank 2"
    );
}

#[test]
fn the_catalog_lists_every_process_with_its_level() {
    let catalog = CorruptionConfig::catalog();
    let all = CorruptionConfig::all();
    // A heading, a line for each, an empty one, and one for the combinations.
    assert_eq!(catalog.lines().count(), all.len() + 3);
    for config in all {
        let scale = config.strength().unwrap().scale;
        let line = catalog.lines().find(|line| line.starts_with(&format!("{} ", config.name())));
        let line = line.unwrap_or_else(|| panic!("{} is missing", config.name()));
        assert!(line.contains(scale.name) && line.contains(scale.meaning), "{line}");
        assert_eq!(line.contains("images only"), config.build::<2>().is_err(), "{line}");
        // Its parameters are the fields of the variant.
        let toml = format!("process = '{}'\nno-such-parameter = 1", config.name());
        let error = toml::from_str::<CorruptionConfig>(&toml).unwrap_err().to_string();
        let expected = error.split("expected").nth(1).unwrap();
        for field in expected.split('`').skip(1).step_by(2) {
            assert!(field == "level" || line.contains(&format!("{field} ")), "{field}: {line}");
        }
    }
}
