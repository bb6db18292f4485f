//! How probable each error is at each letter, from counts.

use std::collections::{BTreeMap, HashMap};

use super::learned_model::{Counts, Table, normal};

/// The probabilities of errors, by numbers that stand for letters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    /// The letters, in order, and the number of each.
    letters: Vec<String>,
    numbers: HashMap<String, usize>,
    /// The numbers of the letters of one byte, so that those need no normal form.
    ascii: [usize; 128],
    deleted: PairRates,
    transposed: PairRates,
    inserted: LetterRates,
    substituted: LetterRates,
}

/// Counts of pairs of numbers.
type Pairs = BTreeMap<[usize; 2], f64>;

impl Rates {
    /// By the formulas of [`TypoModel`](crate::TypoModel).
    pub(super) fn new(counts: &Counts) -> Self {
        let letters = counts.letters();
        let numbers: HashMap<String, usize> =
            letters.iter().cloned().enumerate().map(|(number, letter)| (letter, number)).collect();
        let (start, unknown) = (letters.len(), letters.len() + 1);
        let number = |letter: &str| numbers.get(letter).copied().unwrap_or(start);
        let context = |letter: &str| if is_space(letter) { start } else { number(letter) };
        let by_number = |table| pairs(table, &number, &number);
        let by_context = |table| pairs(table, &context, &number);

        let (mut neighbors, after) = (by_number(&counts.seen), by_context(&counts.seen));
        let (mut own, mut before) = (vec![0.0; unknown + 1], vec![0.0; unknown + 1]);
        for ([x, y], count) in &neighbors {
            own[*y] += count;
            before[letters.get(*y).map_or(start, |letter| context(letter))] += count;
            before[start] += if *x == start { *count } else { 0.0 };
        }
        neighbors.retain(|[x, y], _| *x != start && x != y);
        Self {
            deleted: PairRates::new(&by_context(&counts.deleted), &after),
            transposed: PairRates::new(&by_number(&counts.transposed), &neighbors),
            inserted: LetterRates::new(&by_context(&counts.inserted), &before, true),
            substituted: LetterRates::new(&by_number(&counts.substituted), &own, false),
            ascii: std::array::from_fn(|byte| {
                let letter = normal(&char::from(byte as u8).to_string());
                numbers.get(&letter).copied().unwrap_or(unknown)
            }),
            letters,
            numbers,
        }
    }

    /// The number of a letter; all that the pairs lack have the same.
    pub(super) fn number(&self, letter: &str) -> usize {
        match letter.as_bytes() {
            [byte] => self.ascii[usize::from(*byte)],
            _ => self.numbers.get(&normal(letter)).copied().unwrap_or(self.letters.len() + 1),
        }
    }

    /// The number of a letter as one that is before another; white space is the start of a word.
    pub(super) fn context(&self, letter: &str, number: usize) -> usize {
        if is_space(letter) { self.start() } else { number }
    }

    /// The number of the start of a word.
    pub(super) fn start(&self) -> usize {
        self.letters.len()
    }

    /// The probability that a letter is left out.
    pub(super) fn delete(&self, before: usize, letter: usize) -> f64 {
        self.deleted.at(before, letter)
    }

    /// The probability that two different letters change places.
    pub(super) fn transpose(&self, letter: usize, next: usize) -> f64 {
        self.transposed.at(letter, next)
    }

    /// The probability that a letter is put after one.
    pub(super) fn insert(&self, before: usize) -> f64 {
        self.inserted.rows[before].rate
    }

    /// The probability that another letter is in place of one.
    pub(super) fn substitute(&self, letter: usize) -> f64 {
        self.substituted.rows[letter].rate
    }

    /// The letter put after one, chosen by `pick` in `[0, 1)`.
    pub(super) fn inserted(&self, before: usize, pick: f64) -> &str {
        self.inserted.pick(before, pick).map_or("", |number| self.letter(number))
    }

    /// The letter in place of one, chosen by `pick` in `[0, 1)`.
    pub(super) fn substituted(&self, letter: usize, pick: f64) -> &str {
        self.substituted.pick(letter, pick).map_or("", |number| self.letter(number))
    }

    fn letter(&self, number: usize) -> &str {
        self.letters.get(number).map_or("", String::as_str)
    }
}

/// The numbers and counts of a table.
fn pairs(table: &Table, x: &dyn Fn(&str) -> usize, y: &dyn Fn(&str) -> usize) -> Pairs {
    let mut pairs = Pairs::new();
    for (before, row) in table {
        for (letter, count) in row {
            *pairs.entry([x(before), y(letter)]).or_default() += *count as f64;
        }
    }
    pairs
}

/// Whether a letter is white space, or the start of a text.
fn is_space(letter: &str) -> bool {
    letter.chars().all(char::is_whitespace)
}

/// A share of a whole; 0 for nothing of nothing, and 1 for impossible counts.
fn share(part: f64, whole: f64) -> f64 {
    if part > 0.0 { (part / whole).min(1.0) } else { 0.0 }
}

/// The probability of an error for each pair of letters.
#[derive(Clone, Debug, PartialEq)]
struct PairRates {
    seen: HashMap<[usize; 2], f64>,
    unseen: f64,
}

impl PairRates {
    fn new(errors: &Pairs, seen: &Pairs) -> Self {
        let unseen = share(errors.values().sum(), seen.values().sum());
        let rates = seen.iter().filter(|_| unseen > 0.0).map(|(pair, places)| {
            let errors = errors.get(pair).copied().unwrap_or_default();
            (*pair, (errors + 1.0) / (places + 1.0 / unseen))
        });
        Self { seen: rates.collect(), unseen }
    }

    fn at(&self, x: usize, y: usize) -> f64 {
        self.seen.get(&[x, y]).copied().unwrap_or(self.unseen)
    }
}

/// The probability of an error that writes a letter, for each letter where it can be made, and which letter that is.
#[derive(Clone, Debug, PartialEq)]
struct LetterRates {
    rows: Vec<Row>,
    /// How often each letter is written, with any letter.
    anywhere: Choice,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    rate: f64,
    /// The counts here, and up to one more for all of `anywhere` but the part that is skipped.
    sum: f64,
    learned: Choice,
    skipped: [f64; 2],
}

impl LetterRates {
    /// From the numbers of errors and places; whether a letter can be written at itself.
    fn new(errors: &Pairs, places: &[f64], at_itself: bool) -> Self {
        let mut by_letter = BTreeMap::new();
        let mut rows = vec![vec![]; places.len()];
        for ([x, y], count) in errors {
            *by_letter.entry(*y).or_insert(0.0) += count;
            rows[*x].push((*y, *count));
        }
        let anywhere = Choice::new(by_letter);
        let rate = share(anywhere.sum(), places.iter().sum());
        let rows = rows.into_iter().zip(places).enumerate().map(|(x, (learned, places))| {
            let learned = Choice::new(learned);
            let skipped = if at_itself { [0.0; 2] } else { anywhere.part(x) };
            let others = 1.0 - share(skipped[1] - skipped[0], anywhere.sum());
            let sum = learned.sum() + others;
            let rate = if rate > 0.0 { sum / (places + 1.0 / rate) } else { 0.0 };
            Row { rate, sum, learned, skipped }
        });
        Self { rows: rows.collect(), anywhere }
    }

    fn pick(&self, x: usize, pick: f64) -> Option<usize> {
        let Row { sum, learned, skipped, .. } = &self.rows[x];
        let at = pick * sum;
        if at < learned.sum() {
            return learned.at(at);
        }
        let at = (at - learned.sum()) * self.anywhere.sum();
        let after = if at < skipped[0] { 0.0 } else { skipped[1] - skipped[0] };
        self.anywhere.at(at + after)
    }
}

/// Letters with the sum of the counts up to each.
#[derive(Clone, Debug, PartialEq)]
struct Choice(Vec<(usize, f64)>);

impl Choice {
    fn new(counts: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let mut sum = 0.0;
        let sums = counts.into_iter().map(|(letter, count)| {
            sum += count;
            (letter, sum)
        });
        Self(sums.collect())
    }

    fn sum(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, sum)| *sum)
    }

    /// Where the part of a letter begins and ends.
    fn part(&self, letter: usize) -> [f64; 2] {
        let place = self.0.partition_point(|(other, _)| *other < letter);
        let begin = place.checked_sub(1).map_or(0.0, |before| self.0[before].1);
        let end = self.0.get(place).filter(|(other, _)| *other == letter);
        [begin, end.map_or(begin, |(_, end)| *end)]
    }

    /// The letter whose part of the sum a number is in; the last one above the sum.
    fn at(&self, at: f64) -> Option<usize> {
        let place = self.0.partition_point(|(_, sum)| *sum <= at);
        self.0.get(place).or(self.0.last()).map(|(letter, _)| *letter)
    }
}
