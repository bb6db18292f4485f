//! Processes by name: texts, files, and what is wrong with them.

#![allow(clippy::unwrap_used)] // A test may panic.

use dvae_corruption::{ClipRange, CorruptionConfig, Domain, Level};

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
weights = [3.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]
of = [
    { process = "gaussian", level = 0.3, clip = [0.0, 1.0] },
    { process = "laplace", level = 0.3, clip = "none" },
    { process = "impulse", values = [-1, 2] },
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
    config.build::<4>(Domain::Unit).unwrap();
    let shown = CorruptionConfig::ShowMask { of: Box::new(config.clone()) };
    let counts = CorruptionConfig::for_counts();
    for config in CorruptionConfig::all().into_iter().chain([config, shown]).chain(counts) {
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
        assert_eq!(config, CorruptionConfig::Gaussian { level: expected, clip: ClipRange::Domain });
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
        (r#"{"process": "gaussian", "clip": "unit"}"#, "`clip` must be \"none\", \"domain\""),
        (r#"{"process": "speckle", "clip": [0, 1, 2]}"#, "or a range [LOW, HIGH]"),
        (r#"{"process": "shot", "clip": "none"}"#, "unknown field `clip`"),
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
        (
            r#"{"process": "salt-and-pepper", "values": [1, 0]}"#,
            "`values` must be two finite numbers, the lower first, but is [1, 0]",
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
        let error = config.build::<4>(Domain::Unit).unwrap_err().to_string();
        assert!(error.contains(needle), "{file}: {error}");
    }
    let blur: CorruptionConfig = "gaussian-blur".parse().unwrap();
    let error = blur.build::<2>(Domain::Unit).unwrap_err().to_string();
    assert_eq!(
        error,
        "gaussian-blur: it is for images [batch, channels, height, width], not for rank 2"
    );
}

/// The table with this name and level.
fn table(name: &str, level: &str) -> CorruptionConfig {
    toml::from_str(&format!("process = '{name}'\n{level}")).unwrap()
}

#[test]
fn a_text_and_the_table_with_its_name_and_level_are_the_same_process() {
    for config in [CorruptionConfig::all(), CorruptionConfig::for_counts()].concat() {
        let name = config.name();
        assert_eq!(name.parse::<CorruptionConfig>().unwrap(), table(name, ""), "{name}");
        let severity: CorruptionConfig = format!("{name}@4").parse().unwrap();
        assert_eq!(severity, table(name, "level = { severity = 4 }"), "{name}");
        let level = config.strength().unwrap().scale.severities[1];
        let fixed: CorruptionConfig = format!("{name}:{level}").parse().unwrap();
        assert_eq!(fixed, table(name, &format!("level = {level}")), "{name}");
    }
    let joined: CorruptionConfig = "gaussian:0.3+gamma".parse().unwrap();
    let of = vec![table("gaussian", "level = 0.3"), table("gamma", "")];
    assert_eq!(joined, CorruptionConfig::Sequence { of });
}

#[test]
fn a_process_for_the_unit_interval_says_so() {
    const UNIT_ONLY: [&str; 10] = [
        "gamma",
        "contrast",
        "saturation",
        "jpeg",
        "haze",
        "dead-pixels",
        "dead-lines",
        "banding",
        "zigzag",
        "spatter",
    ];
    const NEED_A_RANGE: [(&str, &str); 4] = [
        ("salt-and-pepper", "values"),
        ("mostly-pepper", "values"),
        ("impulse", "values"),
        ("clipping", "range"),
    ];
    for domain in [Domain::Counts, Domain::Integers, Domain::Real] {
        for config in CorruptionConfig::all() {
            let name = config.name();
            let parameter = NEED_A_RANGE.iter().find(|(process, _)| *process == name);
            let error = config.build::<4>(domain).err().map(|error| error.to_string());
            if UNIT_ONLY.contains(&name) {
                let error = error.unwrap();
                let begin = format!("{name}: it is for numbers in [0, 1] (");
                assert!(error.starts_with(&begin), "{error}");
                let end = format!("but the data are {domain}: declare `data.domain = \"unit\"`");
                assert!(error.contains(&end), "{error}");
            } else if let Some((_, parameter)) = parameter {
                let error = error.unwrap();
                let begin = format!("{name}: `{parameter}` must be given, because {domain} have");
                assert!(error.starts_with(&begin), "{error}");
                let given = table(name, &format!("{parameter} = [-4, 9]"));
                assert!(given.build::<4>(domain).is_ok(), "{name}");
            } else {
                assert_eq!(error, None, "{name}");
            }
        }
    }
    let inside = table("occlusion", "fill = 2");
    assert!(inside.build::<4>(Domain::Unit).is_err() && inside.build::<4>(Domain::Real).is_ok());
    // The parameter out of range is named first.
    let wrong = table("gamma", "level = 100").build::<4>(Domain::Real).unwrap_err();
    assert!(wrong.to_string().contains("`gamma` must be between"), "{wrong}");
}

#[test]
fn a_process_of_counts_says_so() {
    for config in CorruptionConfig::for_counts() {
        assert!(config.build::<2>(Domain::Counts).is_ok() && config.is_never_negative());
        assert!(config.keeps_counts() && config.needs_counts());
        for domain in [Domain::Unit, Domain::Integers, Domain::Real] {
            let error = config.build::<2>(domain).unwrap_err().to_string();
            let expected = format!("it is for counts 0, 1, 2, …, but the data are {domain}");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn a_process_without_a_law_below_zero_says_so() {
    let shot = "{ process = 'shot' }";
    let gaussian = "{ process = 'gaussian' }";
    for (toml, takes) in [
        ("process = 'shot'".to_owned(), false),
        ("process = 'shot'\nlevel = 0".to_owned(), true),
        ("process = 'gaussian'".to_owned(), true),
        (format!("process = 'sequence'\nof = [{shot}, {gaussian}]"), false),
        // It gets what the first one made.
        (format!("process = 'sequence'\nof = [{gaussian}, {shot}]"), true),
        (format!("process = 'one-of'\nof = [{gaussian}, {shot}]"), false),
        (format!("process = 'sometimes'\nprobability = 0.5\nof = {shot}"), false),
        (format!("process = 'part'\nof = {shot}"), false),
        (format!("process = 'show-mask'\nof = {shot}"), false),
    ] {
        let config: CorruptionConfig = toml::from_str(&toml).unwrap();
        let process = config.build::<4>(Domain::Real).unwrap();
        assert!(process.check_value(0.0).is_ok() && process.check_value(60.0).is_ok(), "{toml}");
        assert_eq!(process.check_value(-1.0).is_ok(), takes, "{toml}");
    }
}

#[test]
fn the_catalog_lists_every_process_with_its_level() {
    let catalog = CorruptionConfig::catalog();
    let mut all = CorruptionConfig::all();
    all.extend(CorruptionConfig::for_tables());
    all.extend(CorruptionConfig::for_texts());
    all.extend(CorruptionConfig::for_counts());
    // A heading, a line for each, an empty one, and one for the combinations.
    assert_eq!(catalog.lines().count(), all.len() + 3);
    for config in all {
        let scale = config.strength().unwrap().scale;
        let line = catalog.lines().find(|line| line.starts_with(&format!("{} ", config.name())));
        let line = line.unwrap_or_else(|| panic!("{} is missing", config.name()));
        assert!(line.contains(scale.name) && line.contains(scale.meaning), "{line}");
        let is_for_counts = config.needs_counts();
        let is_alone = is_for_counts || config.needs_table() || config.needs_text();
        let is_for_images = config.build::<2>(Domain::Unit).is_err() && !is_alone;
        assert_eq!(line.contains("counts only"), is_for_counts, "{line}");
        assert_eq!(line.contains("images only"), is_for_images, "{line}");
        assert_eq!(line.contains("texts only"), config.needs_text(), "{line}");
        assert_eq!(line.contains("tables only"), config.needs_table(), "{line}");
        // Its parameters are the fields of the variant.
        let toml = format!("process = '{}'\nno-such-parameter = 1", config.name());
        let error = toml::from_str::<CorruptionConfig>(&toml).unwrap_err().to_string();
        let expected = error.split("expected").nth(1).unwrap();
        for field in expected.split('`').skip(1).step_by(2) {
            assert!(field == "level" || line.contains(&format!("{field} ")), "{field}: {line}");
        }
    }
}
