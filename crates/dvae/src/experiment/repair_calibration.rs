//! What is learned on held-out texts of when a repair counts.

use std::collections::HashMap;

use burn::tensor::Tensor;
use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_models::Candidate;
use dvae_random::{Key, Purpose};
use serde::{Deserialize, Serialize};

use super::repair::{Bonus, Found, KnownTexts, tokens_of};
use super::{ExperimentError, Pretrained};

/// The share of clean texts that may be changed.
const FALSE_REPAIRS: f64 = 0.01;

/// What was learned on held-out texts of the margin from which on a repair counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairCalibration {
    /// The margin, in nats, at least 0: of at most a hundredth of clean texts another one is likelier by more.
    pub margin: f64,
    /// The beam that it is for.
    pub beam: usize,
    /// How much likelier known texts count, in nats, if it was learned with such: see [`KnownTexts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bonus: Option<Bonus>,
    /// The clean texts that it was learned from.
    pub texts: usize,
    /// The share of them that would be changed, of each half by the margin of the other.
    pub false_repairs: f64,
}

impl RepairCalibration {
    /// An error says what no calibration can be.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_right = self.margin.is_finite()
            && self.margin >= 0.0
            && self.beam > 0
            && self.bonus.is_none_or(|of| of.known.is_finite() && of.per_edit.is_finite());
        if is_right { Ok(()) } else { Err(format!("{self:?} is no calibration of repairs")) }
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
    /// Learns from clean texts that were held out how much likelier another text must be than the text itself for a repair, so that at most
    /// a hundredth of clean texts are changed: see [`RepairCalibration`]. [`Self::save`] stores it with the weights. With known texts, their
    /// bonus is learned first: that with which most texts are right of the held-out ones, of which none counts as known, and of as many known
    /// ones, damaged as in training.
    ///
    /// An error says that the model is not one of texts, or that there are too few.
    pub fn calibrate_repairs(
        &mut self,
        rows: &Dataset,
        beam: usize,
        known: Option<KnownTexts>,
    ) -> Result<RepairCalibration, ExperimentError> {
        let clean = self.texts_of(rows)?;
        let known = match known {
            Some(known) => {
                let vocabulary = self.vocabulary()?;
                let held_out = clean.iter().map(|tokens| vocabulary.text(tokens.iter().copied()));
                let known = known.without(&held_out.collect());
                Some(self.with_learned_bonus(&clean, beam, known)?)
            }
            None => None,
        };
        let mut gaps = Vec::with_capacity(clean.len());
        for tokens in clean.chunks(self.at_once(beam)) {
            let found = self.found_of_tokens(tokens, beam, known.as_ref())?;
            gaps.extend(tokens.iter().zip(&found).map(|(tokens, found)| found.gap(tokens)));
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
            bonus: known.map(|known| known.bonus),
            texts: gaps.len(),
            false_repairs: changed as f64 / gaps.len() as f64,
        };
        self.repairs = Some(calibration);
        Ok(calibration)
    }

    /// What is found for the texts of these tokens.
    fn found_of_tokens(
        &self,
        tokens: &[Vec<u16>],
        beam: usize,
        known: Option<&KnownTexts>,
    ) -> Result<Vec<Found>, ExperimentError> {
        let vocabulary = self.vocabulary()?;
        let text = |tokens: &Vec<u16>| vocabulary.text(tokens.iter().copied());
        let texts: Vec<String> = tokens.iter().map(text).collect();
        let rows = texts.iter().zip(tokens).map(|(text, tokens)| (&**text, &tokens[..]));
        self.found(&rows.collect::<Vec<_>>(), beam, known)
    }

    /// The tokens of the texts of rows.
    fn texts_of(&self, rows: &Dataset) -> Result<Vec<Vec<u16>>, ExperimentError> {
        self.vocabulary()?;
        let ids = rows.ids();
        let each = ids.chunks(self.at_once(1)).flat_map(|ids| {
            let batch: Tensor<2> = rows.gather(ids, &self.device);
            tokens_of(batch)
        });
        Ok(each.collect())
    }

    /// Known texts with the bonus with which most texts are repaired rightly.
    fn with_learned_bonus(
        &self,
        held_out: &[Vec<u16>],
        beam: usize,
        known: KnownTexts,
    ) -> Result<KnownTexts, ExperimentError> {
        let vocabulary = self.vocabulary()?;
        let entries = known.list.entries().map(|(text, _)| vocabulary.tokens(text));
        let fitting = entries.filter(|tokens| tokens.len() <= self.data.event[0]);
        let mut listed: Vec<Vec<u16>> = fitting.collect();
        // As many as there are of the others, evenly from the list.
        let every = listed.len().div_ceil(held_out.len().max(1)).max(1);
        listed = listed.into_iter().step_by(every).collect();
        let clean = [held_out, &listed[..]].concat();
        let process = self.process::<2>(&self.experiment.corruption)?;
        let free = known.with_bonus(Bonus::default());
        let mut choices = vec![];
        let at_once = self.at_once(beam);
        for (place, texts) in clean.chunks(at_once).enumerate() {
            let ids: Vec<u64> = (0..texts.len()).map(|at| (place * at_once + at) as u64).collect();
            let draws = &mut self.noise_of_bonus().rows(&ids);
            let input = self.rows_of(texts.iter().map(|tokens| &tokens[..]));
            let damaged = tokens_of(process.corrupt(input, draws).input);
            let found = self.found_of_tokens(&damaged, beam, Some(&free))?;
            for ((clean, damaged), found) in texts.iter().zip(&damaged).zip(found) {
                let text = |tokens: &[u16]| vocabulary.text(tokens.iter().copied());
                let near: HashMap<&str, usize> = free.list.within_reach(&text(damaged)).collect();
                choices.push(Choice::of(clean, damaged, &found, |tokens| {
                    near.get(&*text(tokens)).copied()
                }));
            }
        }
        let right = |bonus: Bonus| choices.iter().filter(|choice| choice.is_right(bonus)).count();
        // Of equal ones the smallest.
        let steps = (0..=BONUSES).flat_map(|known| (0..=BONUSES).map(move |edit| (known, edit)));
        let best = steps.fold((0, Bonus::default()), |best, (known, per_edit)| {
            let [known, per_edit] = [known, per_edit].map(|step| f64::from(step) * BONUS_STEP);
            let bonus = Bonus { known, per_edit };
            let right = right(bonus);
            if right > best.0 { (right, bonus) } else { best }
        });
        Ok(free.with_bonus(best.1))
    }

    fn noise_of_bonus(&self) -> Key {
        Key::new(self.experiment.train.seed).purpose(Purpose::EvaluationCorruption)
    }
}

/// The bonuses that are tried: multiples of half a nat, up to 25 nats.
const BONUS_STEP: f64 = 0.5;
const BONUSES: u32 = 50;

impl Found {
    /// By how much the likeliest other text is likelier than the text itself.
    fn gap(&self, tokens: &[u16]) -> f64 {
        let others = self.candidates.iter().filter(|of| of.tokens != *tokens);
        others.map(|of| of.log_probability).fold(f64::NEG_INFINITY, f64::max) - self.own
    }
}

/// The likeliest of the known texts at each number of edits, and of the others, for a damaged text, without a bonus, and whether it is the
/// clean one.
struct Choice {
    known: [(f64, bool); 3],
    other: (f64, bool),
}

impl Choice {
    fn of(
        clean: &[u16],
        damaged: &[u16],
        found: &Found,
        known_edits: impl Fn(&[u16]) -> Option<usize>,
    ) -> Self {
        let none = (f64::NEG_INFINITY, false);
        let mut choice = Self { known: [none; 3], other: none };
        let own = Candidate { tokens: damaged.to_vec(), log_probability: found.own };
        for of in found.candidates.iter().chain([&own]) {
            let side = match known_edits(&of.tokens) {
                Some(edits) => &mut choice.known[edits.min(2)],
                None => &mut choice.other,
            };
            if of.log_probability > side.0 {
                *side = (of.log_probability, of.tokens == clean);
            }
        }
        choice
    }

    /// Whether the clean text is chosen with this bonus of the known ones.
    fn is_right(&self, bonus: Bonus) -> bool {
        let known = self.known.iter().enumerate();
        let known = known.map(|(edits, &(nats, is_clean))| (nats + bonus.at(edits), is_clean));
        let larger = |a: (f64, bool), b: (f64, bool)| if b.0 > a.0 { b } else { a };
        known.fold(self.other, larger).1
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
}
