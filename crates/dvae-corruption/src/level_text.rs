//! Levels in files, on command lines and in tables.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CorruptionError, Level};

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(level) => serializer.serialize_f64(*level),
            other => Self::serialize(other, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LevelVisitor)
    }
}

/// Parses a number, a table or a string.
struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level: a number, a table such as { uniform = [LOW, HIGH] }, or a text such as \"LOW..HIGH\"")
    }

    fn visit_f64<E>(self, level: f64) -> Result<Level, E> {
        Ok(Level::Fixed(level))
    }

    fn visit_i64<E>(self, level: i64) -> Result<Level, E> {
        Ok(Level::Fixed(level as f64))
    }

    fn visit_u64<E>(self, level: u64) -> Result<Level, E> {
        Ok(Level::Fixed(level as f64))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Level, E> {
        text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Level, A::Error> {
        Level::deserialize(MapAccessDeserializer::new(map))
    }
}

impl FromStr for Level {
    type Err = CorruptionError;

    /// `0.3`, `0.1..0.5` (uniform), `@3` (a severity).
    fn from_str(text: &str) -> Result<Self, CorruptionError> {
        let unreadable = || CorruptionError::LevelText { text: text.to_owned() };
        let number = |text: &str| text.trim().parse().map_err(|_| unreadable());
        if let Some(severity) = text.strip_prefix('@') {
            return severity.parse().map(Self::Severity).map_err(|_| unreadable());
        }
        match text.split_once("..") {
            Some((low, high)) => Ok(Self::Uniform([number(low)?, number(high)?])),
            None => number(text).map(Self::Fixed),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(level) => write!(f, "{level}"),
            Self::Severity(severity) => write!(f, "@{severity}"),
            Self::Uniform([low, high]) => write!(f, "{low}..{high}"),
            Self::LogUniform([low, high]) => write!(f, "{low}..{high} (log)"),
            Self::Linear([from, to]) => write!(f, "{from} → {to}"),
            Self::Cosine([from, to]) => write!(f, "{from} → {to} (cosine)"),
            Self::Step { from, to, steps } => write!(f, "{from} → {to} in {steps} steps"),
            Self::Cyclical { from, to, cycles } => write!(f, "{from} → {to} in {cycles} cycles"),
        }
    }
}
