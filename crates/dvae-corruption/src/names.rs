//! Processes by name: parsing of command lines, names in tables, and the list of all processes.

use std::fmt;
use std::str::FromStr;

use dvae_checks::Number;
use serde::Deserialize;
use serde::de::value::{Error as TextError, MapDeserializer};

use crate::{CorruptionConfig, CorruptionContext, CorruptionError, Domain, Level, Strength};

impl CorruptionConfig {
    /// Every process for any row or image, at severity 3: those of tables, texts or counts alone and combinations are not among them.
    pub fn all() -> Vec<Self> {
        named(Self::standing_alone())
    }

    /// Every process for tables alone, at severity 3.
    pub fn for_tables() -> Vec<Self> {
        named(Self::of_tables())
    }

    /// Every process for texts alone, at severity 3.
    pub fn for_texts() -> Vec<Self> {
        named(Self::of_texts())
    }

    /// Every process for counts alone, at severity 3.
    pub fn for_counts() -> Vec<Self> {
        named(Self::of_counts())
    }

    /// A table of every process except `none` and combinations: its name, its parameters, and the meaning of
    /// its level; then one line for each combination.
    pub fn catalog() -> String {
        let mut table = format!(
            "{:17} {:11} {:>5} {:>12}  {:29} {:17} {}\n",
            "process", "level", "null", "range", "severities 1 to 5", "more", "the level's meaning"
        );
        let each = [Self::all(), Self::for_tables(), Self::for_texts(), Self::for_counts()];
        for config in each.concat() {
            let Some(Strength { scale, .. }) = config.strength() else { continue };
            let [low, high] = scale.range.map(Number::show);
            let severities = scale.severities.map(|level| level.to_string()).join(" ");
            let range = format!("{low} to {high}");
            let only = match config.needs_table() {
                true => " (tables only)",
                false if config.needs_text() => " (texts only)",
                false if config.needs_counts() => " (counts only)",
                false if config.build::<2>(Domain::Unit).is_ok() => "",
                false => " (images only)",
            };
            table += &format!(
                "{:17} {:11} {:>5} {range:>12}  {severities:29} {:17} {}{only}\n",
                config.name(),
                scale.name,
                scale.null,
                config.parameters().join(" "),
                scale.meaning
            );
        }
        let combinations = Self::combinations().map(|(name, parts)| format!("{name} ({parts})"));
        let combinations = combinations.collect::<Vec<_>>().join(", ");
        table += &format!("\nnone, and combinations: {combinations}\n");
        table
    }
}

/// The processes of these names.
fn named(names: &[&str]) -> Vec<CorruptionConfig> {
    names.iter().map(|name| simple(name, None).expect("a name of the table")).collect()
}

/// Splits a string at each `+` before a process name; a `+` within a number such as `1e+1` does not count.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = vec![];
    let mut start = 0;
    for (at, _) in text.match_indices('+') {
        if text[at + 1..].trim_start().starts_with(|c: char| !c.is_ascii_digit())
            || at + 1 == text.len()
        {
            parts.push(text[start..at].trim());
            start = at + 1;
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Parses a process whose only parameter is its level, like a file with these entries.
fn simple(name: &str, level: Option<&str>) -> Result<CorruptionConfig, TextError> {
    let entries = [("process", name)].into_iter().chain(level.map(|level| ("level", level)));
    CorruptionConfig::deserialize(MapDeserializer::new(entries))
}

impl FromStr for CorruptionConfig {
    type Err = CorruptionError;

    fn from_str(text: &str) -> Result<Self, CorruptionError> {
        let parts = parts(text);
        if parts.len() > 1 {
            let of = parts.into_iter().map(str::parse).collect::<Result<_, _>>()?;
            return Ok(Self::Sequence { of });
        }
        if text == "mixed" {
            let of = [&[Self::None {}], &Self::standard_three()[..]].concat();
            return Ok(Self::OneOf { of, weights: None });
        }
        let (name, level) = match text.find([':', '@']) {
            Some(at) if text[at..].starts_with(':') => (&text[..at], Some(&text[at + 1..])),
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        // Finds out whether the name or the level is invalid.
        if simple(name, None).is_ok() {
            level.map_or(Ok(()), |level| level.parse::<Level>().map(|_| ()))?;
        }
        let config = simple(name, level).map_err(|_| {
            let known =
                [Self::standing_alone(), Self::of_tables(), Self::of_texts(), Self::of_counts()]
                    .concat();
            CorruptionError::UnknownProcess { text: text.to_owned(), known: known.join(", ") }
        })?;
        // Every other process is for numbers in [0, 1].
        let domain = match () {
            () if config.needs_counts() => Domain::Counts,
            () if config.needs_text() => Domain::Tokens,
            () => Domain::Unit,
        };
        config.build::<4>(CorruptionContext::of_any(domain))?;
        Ok(config)
    }
}

/// The process and its strength, as in a row of a table.
impl fmt::Display for CorruptionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |of: &[Self], between: &str| {
            of.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
        };
        match self {
            Self::None {} => f.write_str("none"),
            Self::Sequence { of } => f.write_str(&join(of, " + ")),
            Self::OneOf { of, .. } => write!(f, "one of: {}", join(of, ", ")),
            Self::Sometimes { probability, of } => {
                write!(f, "{of}, with probability {probability}")
            }
            Self::Part { of, .. } => write!(f, "part: {of}"),
            Self::ShowMask { of } => write!(f, "{of}, with its mask"),
            simple => {
                f.write_str(&simple.name().replace('-', " "))?;
                match simple.strength() {
                    Some(Strength { level, scale }) => write!(f, ", {} {level}", scale.name),
                    None => Ok(()),
                }
            }
        }
    }
}
