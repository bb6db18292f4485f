//! Repair of texts by a trained model.

use burn::tensor::{Tensor, TensorData};
use dvae_data::{Dataset, TextUnit, Vocabulary, composed};
use dvae_distributions::Likelihood;
use dvae_models::{AnyNetwork, Candidate, TokenSequences, Vae};
use serde::{Deserialize, Serialize};

use super::{DataSource, ExperimentError, Pretrained};

/// Texts that are repaired at once: each has several beginnings in memory.
const AT_ONCE: usize = 128;
/// The share of clean texts that may be changed.
const FALSE_REPAIRS: f64 = 0.01;

/// How texts are repaired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepairOptions {
    /// How many texts the search for the most probable ones keeps at each step, at least 1.
    pub beam: usize,
    /// How much likelier than the text itself another one must be that takes its place, in nats.
    pub margin: f64,
}

/// What may stand in place of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepairCandidate {
    /// The text.
    pub text: String,
    /// `log p(x | z)` at the posterior's mean of the input, in nats.
    pub nats: f64,
}

/// A text and what a model makes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextRepair {
    /// The text as it should be: the input itself, unless another one is likelier by the margin.
    pub text: String,
    /// Whether it is another one than the input.
    pub is_changed: bool,
    /// `log p(x | z)` of the input itself, in nats; `None` of what the model has no row for: an empty text, or one that is too long.
    pub nats: Option<f64>,
    /// The texts that were found, the likeliest first; the input may be among them.
    pub candidates: Vec<RepairCandidate>,
}

/// What was learned on held-out texts of the margin from which on a repair counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairCalibration {
    /// The margin, in nats, at least 0: of at most a hundredth of clean texts another one is likelier by more.
    pub margin: f64,
    /// The beam that it is for.
    pub beam: usize,
    /// The clean texts that it was learned from.
    pub texts: usize,
    /// The share of them that would be changed, of each half by the margin of the other.
    pub false_repairs: f64,
}

impl RepairCalibration {
    /// An error says what no calibration can be.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_right = self.margin.is_finite() && self.margin >= 0.0 && self.beam > 0;
        if is_right { Ok(()) } else { Err(format!("{self:?} is no calibration of repairs")) }
    }

    /// The options that it was learned for.
    pub fn options(&self) -> RepairOptions {
        RepairOptions { beam: self.beam, margin: self.margin }
    }
}

/// The least margin that at most [`FALSE_REPAIRS`] of texts like these are beyond, on average over such sets of texts: Vovk, Gammerman &
/// Shafer (2005), "Algorithmic Learning in a Random World", section 2.2. Infinite of too few.
fn margin(gaps: &[f64]) -> f64 {
    let mut gaps = gaps.to_vec();
    gaps.sort_by(f64::total_cmp);
    let rank = ((gaps.len() + 1) as f64 * (1.0 - FALSE_REPAIRS)).ceil() as usize;
    gaps.get(rank - 1).map_or(f64::INFINITY, |gap| gap.max(0.0))
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

    fn vocabulary(&self) -> Result<&Vocabulary, ExperimentError> {
        self.data.vocabulary.as_ref().ok_or_else(|| {
            ExperimentError::Settings("the model was not trained on texts".to_owned())
        })
    }

    /// Repairs texts, each by itself, with the words of a text by themselves if the model is one of words ([`Self::text_unit`]). Characters that
    /// the model does not know are copied; what stands between words stays. An error says that the model is not one of texts.
    pub fn repair(
        &self,
        texts: &[String],
        options: RepairOptions,
    ) -> Result<Vec<TextRepair>, ExperimentError> {
        let unit = self.text_unit().unwrap_or_default();
        if unit == TextUnit::Line {
            return self.repair_rows(texts, options);
        }
        let texts: Vec<String> = texts.iter().map(|text| composed(text)).collect();
        let places: Vec<_> = texts.iter().map(|text| unit.places(text)).collect();
        let words: Vec<String> = texts
            .iter()
            .zip(&places)
            .flat_map(|(text, places)| places.iter().map(|place| text[place.clone()].to_owned()))
            .collect();
        let mut repairs = self.repair_rows(&words, options)?.into_iter();
        let each = texts.into_iter().zip(places).map(|(text, places)| {
            let words: Vec<TextRepair> = repairs.by_ref().take(places.len()).collect();
            let (mut repaired, mut nats) = (text.clone(), None);
            for (place, word) in places.into_iter().zip(&words).rev() {
                repaired.replace_range(place, &word.text);
                nats = word.nats.map(|own| nats.unwrap_or(0.0) + own).or(nats);
            }
            let is_changed = words.iter().any(|word| word.is_changed);
            // Those of a single word; of several they are no texts by themselves.
            let candidates = match <[TextRepair; 1]>::try_from(words) {
                Ok([word]) => word.candidates,
                Err(_) => vec![],
            };
            TextRepair { text: repaired, is_changed, nats, candidates }
        });
        Ok(each.collect())
    }

    /// Repairs texts that are rows of the model.
    fn repair_rows(
        &self,
        texts: &[String],
        options: RepairOptions,
    ) -> Result<Vec<TextRepair>, ExperimentError> {
        let (vocabulary, width) = (self.vocabulary()?, self.data.event[0]);
        let kept = |text: &String| TextRepair {
            text: text.clone(),
            is_changed: false,
            nats: None,
            candidates: vec![],
        };
        let mut repairs: Vec<TextRepair> = texts.iter().map(kept).collect();
        let tokens: Vec<Vec<u16>> =
            texts.iter().map(|text| vocabulary.tokens(&composed(text))).collect();
        let mut places: Vec<usize> =
            (0..texts.len()).filter(|&at| (1..=width).contains(&tokens[at].len())).collect();
        // Rows of like lengths take few steps together.
        places.sort_by_key(|&at| tokens[at].len());
        for places in places.chunks(AT_ONCE) {
            let rows: Vec<&[u16]> = places.iter().map(|&at| &tokens[at][..]).collect();
            let found = self.found(&rows, options.beam)?;
            for (&at, (own, candidates)) in places.iter().zip(found) {
                repairs[at].take(&tokens[at], own, candidates, vocabulary, options.margin);
            }
        }
        Ok(repairs)
    }

    /// Of each row of tokens `log p(x | z)` at the mean of `z`, and the likeliest texts there.
    fn found(
        &self,
        rows: &[&[u16]],
        beam: usize,
    ) -> Result<Vec<(f64, Vec<Candidate>)>, ExperimentError> {
        let width = self.data.event[0];
        let mut values = vec![f32::from(Vocabulary::END); rows.len() * width];
        for (to, row) in values.chunks_exact_mut(width).zip(rows) {
            to.iter_mut().zip(*row).for_each(|(to, &token)| *to = f32::from(token));
        }
        let input = TensorData::new(values, [rows.len(), width]);
        let input = Tensor::<2>::from_data(input, &self.device);
        let law = self.sequences(input.clone())?;
        let own: Vec<f32> = Likelihood::<2>::log_likelihood(&law, input).into_data().iter().collect();
        Ok(own.into_iter().map(f64::from).zip(law.most_probable(beam)).collect())
    }

    /// The texts that rows of tokens stand for, at the posterior's means.
    fn sequences(&self, input: Tensor<2>) -> Result<TokenSequences, ExperimentError> {
        let latents = Vae::<2>::embed(&self.model, input);
        match self.model.network() {
            AnyNetwork::Tokens(network) => Ok(network.sequences(&latents)),
            _ => Err(ExperimentError::Settings("the model was not trained on texts".to_owned())),
        }
    }

    /// Learns from clean texts that were held out how much likelier another text must be than the text itself for a repair, so that at most
    /// a hundredth of clean texts are changed: see [`RepairCalibration`]. [`Self::save`] stores it with the weights.
    ///
    /// An error says that the model is not one of texts, or that there are too few.
    pub fn calibrate_repairs(
        &mut self,
        rows: &Dataset,
        beam: usize,
    ) -> Result<RepairCalibration, ExperimentError> {
        self.vocabulary()?;
        let ids = rows.ids();
        let mut gaps = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let batch: Tensor<2> = rows.gather(ids, &self.device);
            let values: Vec<f32> = batch.into_data().iter().collect();
            let of_row = |row: &[f32]| {
                let tokens = row.iter().map(|&token| token as u16);
                tokens.take_while(|&token| token != Vocabulary::END).collect::<Vec<u16>>()
            };
            let tokens: Vec<Vec<u16>> = values.chunks_exact(self.data.event[0]).map(of_row).collect();
            let tokens: Vec<&[u16]> = tokens.iter().map(|tokens| &tokens[..]).collect();
            for (tokens, (own, candidates)) in tokens.iter().zip(self.found(&tokens, beam)?) {
                let others = candidates.iter().filter(|of| can_copy(tokens, &of.tokens));
                let other = others.map(|of| (of.tokens != *tokens, of.log_probability));
                let best = other.filter(|(is_other, _)| *is_other).map(|(_, nats)| nats);
                gaps.push(best.fold(f64::NEG_INFINITY, f64::max) - own);
            }
        }
        let (first, second) = gaps.split_at(gaps.len() / 2);
        let ends = [margin(first), margin(second), margin(&gaps)];
        if ends.iter().any(|end| !end.is_finite()) {
            let text = format!(
                "{} held-out texts are too few to learn from what a repair is: at least 200 are needed",
                gaps.len()
            );
            return Err(ExperimentError::Settings(text));
        }
        let beyond = |gaps: &[f64], end: f64| gaps.iter().filter(|&&gap| gap > end).count();
        let changed = beyond(first, ends[1]) + beyond(second, ends[0]);
        let calibration = RepairCalibration {
            margin: ends[2],
            beam,
            texts: gaps.len(),
            false_repairs: changed as f64 / gaps.len() as f64,
        };
        self.repairs = Some(calibration);
        Ok(calibration)
    }
}

/// Whether a candidate has as many unknown characters as the input, from which they are copied.
fn can_copy(input: &[u16], candidate: &[u16]) -> bool {
    let unknown =
        |tokens: &[u16]| tokens.iter().filter(|&&token| token == Vocabulary::UNKNOWN).count();
    unknown(input) == unknown(candidate)
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
        let mut unknown = input.chars().zip(tokens).filter(|(_, token)| **token == Vocabulary::UNKNOWN);
        let unknown: Vec<char> = unknown.by_ref().map(|(letter, _)| letter).collect();
        self.nats = Some(own);
        for candidate in candidates {
            if !can_copy(tokens, &candidate.tokens) {
                continue;
            }
            let mut unknown = unknown.iter();
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
    fn a_margin_leaves_a_hundredth_beyond_it_and_needs_enough_texts() {
        let gaps: Vec<f64> = (0..199).map(f64::from).collect();
        // Rank ⌈200 · 0.99⌉ = 198, from 1.
        assert_eq!(margin(&gaps), 197.0);
        assert_eq!(margin(&gaps[..98]), f64::INFINITY);
        assert_eq!(margin(&[-1.0; 500]), 0.0);
        assert_eq!(margin(&[]), f64::INFINITY);
    }

    #[test]
    fn unknown_characters_are_copied_in_their_order() {
        let vocabulary = Vocabulary::of(["abc"], 1);
        let repaired = |text: &str, candidate: &str, margin| {
            let mut repair = TextRepair {
                text: text.to_owned(),
                is_changed: false,
                nats: None,
                candidates: vec![],
            };
            let tokens = vocabulary.tokens(text);
            let candidate = Candidate { tokens: vocabulary.tokens(candidate), log_probability: -1.0 };
            repair.take(&tokens, -3.0, vec![candidate], &vocabulary, margin);
            (repair.text, repair.is_changed)
        };
        assert_eq!(repaired("aXbY", "a?cb?", 1.0), ("aXcbY".to_owned(), true));
        assert_eq!(repaired("aXbY", "acb?", 1.0), ("aXbY".to_owned(), false));
        assert_eq!(repaired("ab", "cb", 2.0), ("ab".to_owned(), false));
        // What is composed differently is no other text.
        assert_eq!(repaired("ab", "ab", 0.0), ("ab".to_owned(), false));
    }
}
