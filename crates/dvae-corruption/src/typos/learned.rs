//! Typing errors as people make them.

use std::sync::Arc;

use dvae_random::RowRng;
use unicode_segmentation::UnicodeSegmentation;

use super::keyboard::{lower, upper};
use super::learned_model::{TypoModel, normal};
use super::learned_rates::Rates;
use super::{CorruptedText, TextCorruption, Typos, uniform};
use crate::{CorruptionError, Level, Scale, Strength};

/// Typing errors with the probabilities of a [`TypoModel`]: characters are left out, put in, replaced and swapped where people do so.
///
/// Use it instead of [`Typos`] if there are pairs of wrong and right texts to learn from. It makes errors in any text, not only in that of
/// the pairs.
///
/// Let `pᵢ` be the sum of the learned probabilities of all errors at character `i`. There is an error with the probability
///
/// ```text
/// min(1, s pᵢ)
/// ```
///
/// and it is one of them in proportion to their probabilities. The scale `s` is solved for each text, to a relative 10⁻⁶: the expected
/// number of errors is level / 100 times the number of characters with `pᵢ > 0`. Two swapped characters have one error between them, which
/// the expectation takes into account. If no `s` gives as many errors, there is one wherever it can be made.
///
/// A letter is put before a character, or after the last one; `changed` marks that character. A letter is written in the case of the
/// character there, or, if that has none, of the one before. Swapped letters leave the case in its place: `The` becomes `Hte`.
///
/// # What this gives up
///
/// The expected number of errors depends on the length of a text alone: a word that is hard to spell has as many as an easy one. At
/// a level of 100 there are fewer than 100 errors for 100 characters, as characters are swapped.
///
/// ```
/// use std::sync::Arc;
///
/// use dvae_corruption::{LearnedTypos, TextCorruption, TypoModel};
/// use dvae_random::{Key, Purpose};
///
/// let model = TypoModel::from_lines("teh->the\nrecieve->receive\nwich->which")?;
/// let mut draws = Key::new(1).purpose(Purpose::Corruption).rows(&[0, 1]);
/// let typos = LearnedTypos::new(60.0, Arc::new(model))?;
/// let damaged = typos.corrupt(&["Elizabeth Bennet", ""], &mut draws);
/// assert_ne!(damaged[0].text, "Elizabeth Bennet");
/// assert_eq!(damaged[0].changed.len(), 16);
/// assert_eq!(damaged[1].text, "");
/// # Ok::<(), dvae_corruption::CorruptionError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedTypos {
    level: Level,
    model: Arc<TypoModel>,
}

impl LearnedTypos {
    /// The meaning of the level: that of [`Typos`].
    pub const SCALE: Scale = Typos::SCALE;

    /// Errors of a model. An error names a level out of `[0, 100]`.
    pub fn new(level: impl Into<Level>, model: Arc<TypoModel>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(level)?, model })
    }

    /// The characters of a text, with the probabilities of their errors.
    fn places<'a>(&self, text: &'a str) -> Vec<Place<'a>> {
        let rates = self.model.rates();
        let letters = text.graphemes(true).map(|text| (text, rates.number(text)));
        let mut letters = letters.peekable();
        let mut before = rates.start();
        let mut places = vec![];
        while let Some((text, number)) = letters.next() {
            let own = rates.context(text, number);
            let place = Place { text, number, context: [before, own], ..Place::default() };
            places.push(place.with_rates(rates, letters.peek().copied()));
            before = own;
        }
        places
    }

    /// An error at a place: how many characters become what.
    fn error(&self, places: &[Place], at: usize, rng: &mut RowRng) -> Option<(usize, String)> {
        let rates = self.model.rates();
        let place = &places[at];
        let mut left = uniform(rng) * place.sum;
        let kind = place.rates.iter().position(|rate| {
            left -= rate;
            left < 0.0
        })?;
        if kind == TRANSPOSE {
            let [first, second] = [place.text, places.get(at + 1)?.text];
            let swapped = [in_case(second, is_upper(first)), in_case(first, is_upper(second))];
            return Some((2, swapped.concat()));
        }
        let before = at.checked_sub(1).and_then(|before| is_upper(places[before].text));
        let is_upper = is_upper(place.text).or(before);
        let letter = match kind {
            DELETE => "",
            SUBSTITUTE => rates.substituted(place.number, uniform(rng)),
            _ => rates.inserted(place.context[kind - INSERT], uniform(rng)),
        };
        let letter = in_case(letter, is_upper);
        let written = match kind {
            INSERT => letter + place.text,
            INSERT_AFTER => place.text.to_owned() + &letter,
            _ => letter,
        };
        Some((1, written))
    }
}

impl TextCorruption for LearnedTypos {
    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn TextCorruption>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..self.clone() }))
    }

    fn corrupt_one(&self, text: &str, level: f64, rng: &mut RowRng) -> CorruptedText {
        let mut corrupted = CorruptedText { text: String::new(), changed: vec![] };
        let places = self.places(text);
        let scale = scale(&places, level);
        let mut at = 0;
        while let Some(place) = places.get(at) {
            let is_chosen = uniform(rng) < scale * place.sum;
            let error = if is_chosen { self.error(&places, at, rng) } else { None };
            let (taken, part) = error.as_ref().map_or((1, place.text), |of| (of.0, &*of.1));
            corrupted.text.push_str(part);
            let touched = places[at..at + taken].iter().flat_map(|place| place.text.chars());
            corrupted.changed.extend(touched.map(|_| error.is_some()));
            at += taken;
        }
        corrupted
    }
}

/// The places of the errors in [`Place::rates`].
const DELETE: usize = 0;
const SUBSTITUTE: usize = 1;
const TRANSPOSE: usize = 2;
const INSERT: usize = 3;
const INSERT_AFTER: usize = 4;

/// A character of a text.
#[derive(Default)]
struct Place<'a> {
    text: &'a str,
    /// The number of its letter.
    number: usize,
    /// The numbers of the letters before it, and after it, as those after which a letter is put.
    context: [usize; 2],
    /// The learned probability of each error, their sum, and the share of swaps in it.
    rates: [f64; 5],
    sum: f64,
    swaps: f64,
}

impl Place<'_> {
    /// The same with the probabilities of its errors, before another letter or at the end.
    fn with_rates(mut self, rates: &Rates, next: Option<(&str, usize)>) -> Self {
        let [before, own] = self.context;
        self.rates[DELETE] = rates.delete(before, self.number);
        self.rates[SUBSTITUTE] = rates.substitute(self.number);
        if let Some((text, number)) = next
            && !self.is(text, number)
        {
            self.rates[TRANSPOSE] = rates.transpose(self.number, number);
        }
        self.rates[INSERT] = rates.insert(before);
        self.rates[INSERT_AFTER] = if next.is_none() { rates.insert(own) } else { 0.0 };
        self.sum = self.rates.iter().sum();
        if self.sum > 0.0 {
            self.swaps = self.rates[TRANSPOSE] / self.sum;
        }
        self
    }

    /// Whether it is this letter. All letters that the model lacks have one number.
    fn is(&self, text: &str, number: usize) -> bool {
        number == self.number && (text == self.text || normal(text) == normal(self.text))
    }
}

/// What the learned probabilities are multiplied by, so that the expected number of errors is the level in percent of the places.
fn scale(places: &[Place], level: f64) -> f64 {
    let sums = places.iter().map(|place| place.sum).filter(|sum| *sum > 0.0);
    let (count, sum, least) = sums.fold((0.0, 0.0, f64::INFINITY), |(count, sum, least), of| {
        (count + 1.0, sum + of, of.min(least))
    });
    let target = level / 100.0 * count;
    if target.is_nan() || target <= 0.0 {
        return 0.0;
    }
    // Caps and swaps only take errors away, so that this is too little.
    let (mut low, mut high) = (target / sum, target / sum);
    while expected(places, high) < target && high * least < 1.0 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if expected(places, middle) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The expected number of errors at a scale. It rises with it: one error more takes at most one other away.
fn expected(places: &[Place], scale: f64) -> f64 {
    let (mut errors, mut is_free) = (0.0, 1.0);
    for place in places {
        let error = is_free * (scale * place.sum).min(1.0);
        errors += error;
        is_free = 1.0 - error * place.swaps;
    }
    errors
}

/// Whether a character is of upper or of lower case, if it has a case.
fn is_upper(letter: &str) -> Option<bool> {
    let first = letter.chars().next()?;
    (first.is_uppercase() || first.is_lowercase()).then(|| first.is_uppercase())
}

/// A character in upper or lower case, or as it is.
fn in_case(letter: &str, is_upper: Option<bool>) -> String {
    match is_upper {
        Some(true) => letter.chars().map(upper).collect(),
        Some(false) => letter.chars().map(lower).collect(),
        None => letter.to_owned(),
    }
}
