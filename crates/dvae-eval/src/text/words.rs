//! Words of a line, and their capitals.

use dvae_data::TextUnit;

/// What a word may become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate<'a> {
    /// The entry.
    pub(super) text: &'a str,
    /// How well it fits: more is better.
    pub(super) score: f64,
}

/// The line with each word in place of which `best` knows another replaced; all else stays, byte for byte.
///
/// A word is asked for as it is and in lower case. If it fits better in lower case, the answer takes on its capitals; they are not
/// repaired themselves.
pub(super) fn repair_words<'a>(line: &str, best: impl Fn(&str) -> Option<Candidate<'a>>) -> String {
    let mut repaired = line.to_owned();
    for place in TextUnit::Word.places(line).into_iter().rev() {
        let word = repair_word(&line[place.clone()], &best);
        repaired.replace_range(place, &word);
    }
    repaired
}

fn repair_word<'a>(word: &str, best: impl Fn(&str) -> Option<Candidate<'a>>) -> String {
    let (given, lower) = (best(word), word.to_lowercase());
    if lower == word {
        return given.map_or(word, |candidate| candidate.text).to_owned();
    }
    match (given, best(&lower)) {
        (None, None) => word.to_owned(),
        (Some(given), None) => given.text.to_owned(),
        (Some(given), Some(in_lower)) if given.score >= in_lower.score => given.text.to_owned(),
        // Capitals are not repaired.
        (_, Some(in_lower)) if in_lower.text == lower => word.to_owned(),
        (_, Some(in_lower)) => Capitals::of(word).applied(in_lower.text),
    }
}

/// Which letters of a word are capitals.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Capitals {
    /// Two at least, and no lower-case letter.
    All,
    /// The first.
    First,
    /// Not the first.
    Other,
}

impl Capitals {
    fn of(word: &str) -> Self {
        let is_capital = |letter: char| letter.to_lowercase().ne([letter]);
        let capitals = word.chars().filter(|letter| is_capital(*letter)).count();
        let has_lower = word.chars().any(|letter| letter.to_uppercase().ne([letter]));
        match capitals {
            2.. if !has_lower => Self::All,
            _ if word.starts_with(is_capital) => Self::First,
            _ => Self::Other,
        }
    }

    /// The entry with these capitals; with its own, if the first was none.
    fn applied(self, entry: &str) -> String {
        match self {
            Self::All => entry.to_uppercase(),
            Self::First => {
                let mut letters = entry.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters).collect()
            }
            Self::Other => entry.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows `house`, `Elizabeth` and `straße`, at a score of 0, and one typing error in each, at −1.
    fn best(form: &str) -> Option<Candidate<'static>> {
        let (text, score) = match form {
            "house" => ("house", 0.0),
            "huose" => ("house", -1.0),
            "Huose" => ("house", -2.0),
            "Elizabteh" => ("Elizabeth", -1.0),
            "elizabteh" => ("Elizabeth", -2.0),
            "straße" => ("straße", 0.0),
            "strase" => ("straße", -1.0),
            _ => return None,
        };
        Some(Candidate { text, score })
    }

    #[test]
    fn capitals_are_restored() {
        for (word, expected) in [
            ("huose", "house"),
            ("Huose", "House"),
            ("HUOSE", "HOUSE"),
            ("hUose", "house"),
            ("HOUSE", "HOUSE"),
            ("hOuse", "hOuse"),
            ("HUose", "House"),
            ("Elizabteh", "Elizabeth"),
            ("ELIZABTEH", "ELIZABETH"),
            ("Straße", "Straße"),
            ("STRASE", "STRASSE"),
            ("Unknown", "Unknown"),
        ] {
            assert_eq!(repair_word(word, best), expected);
        }
    }

    #[test]
    fn what_is_between_words_stays() {
        let line = "\t“Huose”\r\n huose—7huose\u{200f} 👩\u{200d}👧 x\u{fe0f} ";
        let expected = "\t“House”\r\n house—7house\u{200f} 👩\u{200d}👧 x\u{fe0f} ";
        assert_eq!(repair_words(line, best), expected);
        assert_eq!(repair_words("", best), "");
        assert_eq!(repair_words(" 12, ", best), " 12, ");
    }
}
