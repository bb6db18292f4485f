//! Repair of texts by a trained model.

use std::collections::HashSet;
use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use dvae_data::{TextUnit, Vocabulary, composed};
use dvae_distributions::Likelihood;
use dvae_eval::WordList;
use dvae_models::{AnyNetwork, Candidate, NetworkConfig, TokenSequences, Vae};
use serde::{Deserialize, Serialize};

use super::{DataSource, ExperimentError, Pretrained, RepairCalibration};

/// Texts that are repaired at once, at most.
const AT_ONCE: usize = 128;
/// Numbers that a step of a search may hold.
const NUMBERS: usize = 1 << 25;

/// How texts are repaired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepairOptions {
    /// How many texts the search for the most probable ones keeps at each step, at least 1.
    pub beam: usize,
    /// How much likelier than the text itself another one must be that takes its place, in nats.
    pub margin: f64,
}

/// Texts that are known to be right, such as those of the training: they may stand in place of others too.
#[derive(Clone, Debug)]
pub struct KnownTexts {
    pub(super) list: WordList,
    pub(super) bonus: Bonus,
}

/// How much likelier than the model says a known text counts, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bonus {
    /// That of the text itself, if it is known.
    pub known: f64,
    /// How much less it is for each edit between a known text and the text.
    pub per_edit: f64,
}

impl Bonus {
    pub(super) fn at(self, edits: usize) -> f64 {
        self.known - self.per_edit * edits as f64
    }
}

impl KnownTexts {
    /// These texts, which count as the model says until [`Self::with_bonus`].
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let list = WordList::new(texts.into_iter().map(|text| composed(&text)));
        Self { list, bonus: Bonus::default() }
    }

    /// The same with a bonus, as [`Pretrained::calibrate_repairs`] learns it.
    #[must_use]
    pub fn with_bonus(self, bonus: Bonus) -> Self {
        Self { bonus, ..self }
    }

    /// The same without these.
    pub(super) fn without(&self, texts: &HashSet<String>) -> Self {
        let entries = self.list.entries().map(|(text, _)| text);
        let list = WordList::new(entries.filter(|text| !texts.contains(*text)));
        Self { list, bonus: self.bonus }
    }
}

/// What may stand in place of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepairCandidate {
    /// The text.
    pub text: String,
    /// `log p(x | z)` at the posterior's mean of the input, in nats, with the bonus if it is a known text.
    pub nats: f64,
}

/// A text and what a model makes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextRepair {
    /// The text as it should be: the input itself, unless another one is likelier by the margin.
    pub text: String,
    /// Whether it is another one than the input.
    pub is_changed: bool,
    /// How many of its rows, which are its words or the whole of it, are longer than those of the model: they stay as they are.
    pub too_long: usize,
    /// The same of the input itself; `None` of what the model has no row for: an empty text, or one that is too long.
    pub nats: Option<f64>,
    /// The texts that were found, the likeliest first; the input may be among them.
    pub candidates: Vec<RepairCandidate>,
}

impl Pretrained {
    /// What rows of the model are, if they are texts.
    pub fn text_unit(&self) -> Option<TextUnit> {
        match &self.experiment.data.source {
            DataSource::Text { unit, .. } => Some(*unit),
            _ => None,
        }
    }

    /// What was learned of repairs by [`Self::calibrate_repairs`], in this process or before the weights were saved.
    pub fn repair_calibration(&self) -> Option<&RepairCalibration> {
        self.repairs.as_ref()
    }

    /// The text of a row of tokens, such as a sample; `None` if the model is not one of texts.
    pub fn text(&self, row: &[f64]) -> Option<String> {
        let vocabulary = self.data.vocabulary.as_ref()?;
        Some(vocabulary.text(row.iter().map(|&token| token as u16)))
    }

    pub(super) fn vocabulary(&self) -> Result<&Vocabulary, ExperimentError> {
        self.data.vocabulary.as_ref().ok_or_else(|| {
            ExperimentError::Settings("the model was not trained on texts".to_owned())
        })
    }

    /// Repairs texts, each by itself, with the words of a text by themselves if the model is one of words ([`Self::text_unit`]). Characters that
    /// the model does not know are copied; what stands between words stays. Known texts of up to two edits away count as well. An error says
    /// that the model is not one of texts.
    pub fn repair(
        &self,
        texts: &[String],
        options: RepairOptions,
        known: Option<&KnownTexts>,
    ) -> Result<Vec<TextRepair>, ExperimentError> {
        let unit = self.text_unit().unwrap_or_default();
        if unit == TextUnit::Line {
            return self.repair_rows(texts, options, known);
        }
        let places: Vec<_> = texts.iter().map(|text| unit.places(text)).collect();
        let words: Vec<String> = texts
            .iter()
            .zip(&places)
            .flat_map(|(text, places)| places.iter().map(|place| text[place.clone()].to_owned()))
            .collect();
        let mut repairs = self.repair_rows(&words, options, known)?.into_iter();
        let each = texts.iter().zip(places).map(|(text, places)| {
            let words: Vec<TextRepair> = repairs.by_ref().take(places.len()).collect();
            let (mut repaired, mut nats) = (text.clone(), None);
            for (place, word) in places.iter().zip(&words).rev() {
                if word.is_changed {
                    repaired.replace_range(place.clone(), &word.text);
                }
                nats = word.nats.map(|own| nats.unwrap_or(0.0) + own).or(nats);
            }
            let is_changed = words.iter().any(|word| word.is_changed);
            let too_long = words.iter().map(|word| word.too_long).sum();
            // With what stands around a single word; of several they would be many.
            let candidates = match (&words[..], &places[..]) {
                ([word], [place]) => word.candidates.iter().map(|of| of.at(text, place)).collect(),
                _ => vec![],
            };
            TextRepair { text: repaired, is_changed, too_long, nats, candidates }
        });
        Ok(each.collect())
    }

    /// Repairs texts that are rows of the model.
    fn repair_rows(
        &self,
        texts: &[String],
        options: RepairOptions,
        known: Option<&KnownTexts>,
    ) -> Result<Vec<TextRepair>, ExperimentError> {
        let (vocabulary, width) = (self.vocabulary()?, self.data.event[0]);
        let kept = |text: &String| TextRepair {
            text: text.clone(),
            is_changed: false,
            too_long: 0,
            nats: None,
            candidates: vec![],
        };
        let mut repairs: Vec<TextRepair> = texts.iter().map(kept).collect();
        let texts: Vec<String> = texts.iter().map(|text| composed(text)).collect();
        let tokens: Vec<Vec<u16>> = texts.iter().map(|text| vocabulary.tokens(text)).collect();
        let mut places: Vec<usize> =
            (0..texts.len()).filter(|&at| (1..=width).contains(&tokens[at].len())).collect();
        for (repair, tokens) in repairs.iter_mut().zip(&tokens) {
            repair.too_long = usize::from(tokens.len() > width);
        }
        // Rows of like lengths take few steps together.
        places.sort_by_key(|&at| tokens[at].len());
        for places in places.chunks(self.at_once(options.beam)) {
            let rows: Vec<(&str, &[u16])> =
                places.iter().map(|&at| (&*texts[at], &tokens[at][..])).collect();
            let found = self.found(&rows, options.beam, known)?;
            for (&at, Found { own, candidates }) in places.iter().zip(found) {
                repairs[at].take(&tokens[at], own, candidates, vocabulary, options.margin);
            }
        }
        Ok(repairs)
    }

    /// Of each text and its tokens how likely it is at the mean of `z`, and the likeliest texts there.
    pub(super) fn found(
        &self,
        rows: &[(&str, &[u16])],
        beam: usize,
        known: Option<&KnownTexts>,
    ) -> Result<Vec<Found>, ExperimentError> {
        let vocabulary = self.vocabulary()?;
        let input = self.rows_of(rows.iter().map(|&(_, tokens)| tokens));
        let law = self.sequences(input.clone())?;
        let own = log_likelihood(&law, input).into_iter().zip(law.most_probable(beam));
        let found = own.zip(rows).map(|((own, mut candidates), (text, row))| {
            candidates.retain(|of| is_apt(text, row, &of.tokens, vocabulary));
            Found { own, candidates }
        });
        let mut found: Vec<Found> = found.collect();
        let Some(known) = known else { return Ok(found) };
        let (mut places, mut near) = (vec![], vec![]);
        for (place, ((text, row), found)) in rows.iter().zip(&mut found).enumerate() {
            found.own += if known.list.contains(text) { known.bonus.at(0) } else { 0.0 };
            let width = self.data.event[0];
            for (entry, edits) in known.list.within_reach(text) {
                let tokens = vocabulary.tokens(entry);
                let is_whole = !tokens.contains(&Vocabulary::UNKNOWN);
                if tokens.len() <= width
                    && tokens != **row
                    && is_whole
                    && is_apt(text, row, &tokens, vocabulary)
                {
                    places.push(place);
                    near.push((tokens, edits));
                }
            }
        }
        let at_once = self.at_once(1);
        for (places, near) in places.chunks(at_once).zip(near.chunks(at_once)) {
            let rows = self.rows_of(near.iter().map(|(tokens, _)| &tokens[..]));
            let nats = log_likelihood(&law.select(places), rows);
            for ((&place, (tokens, edits)), nats) in places.iter().zip(near).zip(nats) {
                let candidates = &mut found[place].candidates;
                candidates.retain(|of| of.tokens != *tokens);
                let log_probability = nats + known.bonus.at(*edits);
                candidates.push(Candidate { tokens: tokens.clone(), log_probability });
            }
        }
        for found in &mut found {
            found.candidates.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
        }
        Ok(found)
    }

    /// How many texts are searched for at once: each beginning holds what is attended to, and each text a score for each pair of places.
    pub(super) fn at_once(&self, beam: usize) -> usize {
        let width = self.data.event[0];
        let embedding = match &self.experiment.model.network {
            NetworkConfig::Tokens(config) => 2 * config.embedding + 4 * config.hidden,
            _ => 1,
        };
        let of_search = beam.saturating_mul(width).saturating_mul(embedding);
        (NUMBERS / of_search.max(width.saturating_mul(width)).max(1)).clamp(1, AT_ONCE)
    }

    /// Rows of tokens, filled up with ends.
    pub(super) fn rows_of<'a>(&self, rows: impl ExactSizeIterator<Item = &'a [u16]>) -> Tensor<2> {
        let (count, width) = (rows.len(), self.data.event[0]);
        let mut values = vec![f32::from(Vocabulary::END); count * width];
        for (to, row) in values.chunks_exact_mut(width).zip(rows) {
            to.iter_mut().zip(row).for_each(|(to, &token)| *to = f32::from(token));
        }
        Tensor::from_data(TensorData::new(values, [count, width]), &self.device)
    }

    /// The texts that rows of tokens stand for, at the posterior's means.
    fn sequences(&self, input: Tensor<2>) -> Result<TokenSequences, ExperimentError> {
        let latents = Vae::<2>::embed(&self.model, input);
        match self.model.network() {
            AnyNetwork::Tokens(network) => Ok(network.sequences(&latents)),
            _ => Err(ExperimentError::Settings("the model was not trained on texts".to_owned())),
        }
    }
}

/// What was found for a text.
pub(super) struct Found {
    /// How likely the text itself is, in nats.
    pub(super) own: f64,
    /// Texts that may stand in its place, the likeliest first.
    pub(super) candidates: Vec<Candidate>,
}

/// The tokens of texts, from rows.
pub(super) fn tokens_of(rows: Tensor<2>) -> Vec<Vec<u16>> {
    let [_, width] = rows.dims();
    let values: Vec<f32> = rows.into_data().iter().collect();
    let text = |row: &[f32]| {
        let tokens = row.iter().map(|&token| token as u16);
        tokens.take_while(|&token| token != Vocabulary::END).collect()
    };
    values.chunks_exact(width).map(text).collect()
}

fn log_likelihood(law: &TokenSequences, rows: Tensor<2>) -> Vec<f64> {
    Likelihood::<2>::log_likelihood(law, rows).into_data().iter::<f64>().collect()
}

/// Whether a candidate may stand in place of a text: it has as many unknown characters, which are copied, but for those that cannot be
/// read, U+FFFD, which may become others; and as many line breaks, which would make other lines of a file.
fn is_apt(text: &str, input: &[u16], candidate: &[u16], vocabulary: &Vocabulary) -> bool {
    let count = |tokens: &[u16], of: u16| tokens.iter().filter(|&&token| token == of).count();
    let [unknown, left] = [input, candidate].map(|tokens| count(tokens, Vocabulary::UNKNOWN));
    let unreadable = text.chars().filter(|&letter| letter == Vocabulary::REPLACEMENT).count();
    let breaks = vocabulary.tokens("\n\r\u{b}\u{c}\u{85}\u{2028}\u{2029}");
    let mut known = breaks.into_iter().filter(|&of| of != Vocabulary::UNKNOWN);
    (left == unknown || left + unreadable == unknown)
        && known.all(|of| count(input, of) == count(candidate, of))
}

impl RepairCandidate {
    /// The text with this one at a place.
    fn at(&self, text: &str, place: &Range<usize>) -> Self {
        let mut whole = text.to_owned();
        whole.replace_range(place.clone(), &self.text);
        Self { text: whole, nats: self.nats }
    }
}

impl TextRepair {
    /// Takes what was found for the tokens of the text.
    fn take(
        &mut self,
        tokens: &[u16],
        own: f64,
        candidates: Vec<Candidate>,
        vocabulary: &Vocabulary,
        margin: f64,
    ) {
        let input = composed(&self.text);
        let unknown = input.chars().zip(tokens).filter(|(_, token)| **token == Vocabulary::UNKNOWN);
        let unknown: Vec<char> = unknown.map(|(letter, _)| letter).collect();
        self.nats = Some(own);
        for candidate in candidates {
            let left = candidate.tokens.iter().filter(|&&token| token == Vocabulary::UNKNOWN);
            let are_all = left.count() == unknown.len();
            // What cannot be read has become something else.
            let kept = |letter: &&char| are_all || **letter != Vocabulary::REPLACEMENT;
            let mut unknown = unknown.iter().filter(kept);
            let text = vocabulary.text(candidate.tokens.iter().copied());
            let letter = |letter| match letter {
                Vocabulary::REPLACEMENT => unknown.next().copied().unwrap_or(letter),
                letter => letter,
            };
            let text: String = text.chars().map(letter).collect();
            self.candidates.push(RepairCandidate { text, nats: candidate.log_probability });
        }
        let best = self.candidates.iter().find(|of| of.text != input);
        if let Some(best) = best.filter(|best| best.nats - own > margin) {
            (self.text, self.is_changed) = (best.text.clone(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_characters_are_copied_in_their_order() {
        let vocabulary = Vocabulary::of(["abc"], 1);
        let repaired = |text: &str, candidate: &str, margin| {
            let mut repair = TextRepair {
                text: text.to_owned(),
                is_changed: false,
                too_long: 0,
                nats: None,
                candidates: vec![],
            };
            let tokens = vocabulary.tokens(text);
            let candidate =
                Candidate { tokens: vocabulary.tokens(candidate), log_probability: -1.0 };
            repair.take(&tokens, -3.0, vec![candidate], &vocabulary, margin);
            (repair.text, repair.is_changed)
        };
        assert_eq!(repaired("aXbY", "a?cb?", 1.0), ("aXcbY".to_owned(), true));
        let apt = |input: &str, candidate: &str| {
            is_apt(input, &vocabulary.tokens(input), &vocabulary.tokens(candidate), &vocabulary)
        };
        assert!(apt("aXbY", "a?cb?") && !apt("aXbY", "acb") && !apt("aXbY", "acb?"));
        // What cannot be read may become a letter.
        assert!(apt("a\u{fffd}bY", "acb?") && !apt("a\u{fffd}bY", "acb"));
        assert_eq!(repaired("a\u{fffd}bY", "acb?", 1.0), ("acbY".to_owned(), true));
        assert_eq!(repaired("ab", "cb", 2.0), ("ab".to_owned(), false));
        // What is composed differently is no other text.
        assert_eq!(repaired("ab", "ab", 0.0), ("ab".to_owned(), false));
    }
}
