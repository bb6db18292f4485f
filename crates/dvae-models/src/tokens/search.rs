//! Texts that latents stand for: the most probable ones, and samples.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use dvae_kernels::Direction;

use super::{END, TokenSequences};

/// A text that latents may stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its tokens, without the end.
    pub tokens: Vec<u16>,
    /// `log p(x | z)`, in nats.
    pub log_probability: f64,
}

/// The beginning of a text.
#[derive(Clone)]
struct Beginning {
    /// The row of the latent.
    row: usize,
    tokens: Vec<u16>,
    log_probability: f64,
}

/// The states of beginnings, one after the other.
struct Steps<'a> {
    law: &'a TokenSequences,
    states: Tensor<2>,
}

impl<'a> Steps<'a> {
    fn new(law: &'a TokenSequences) -> Self {
        Self { law, states: law.start.clone() }
    }

    /// `log p(next token)` of each beginning, `tokens` numbers each; `parents` are the places of their states among those of the last
    /// step.
    fn next(&mut self, beginnings: &[Beginning], parents: &[usize]) -> Vec<f32> {
        let (law, device) = (self.law, self.states.device());
        let places = |places: Vec<i64>| -> Tensor<1, Int> {
            let count = places.len();
            Tensor::from_data(TensorData::new(places, [count]), &device)
        };
        let rows = places(beginnings.iter().map(|of| of.row as i64).collect());
        let last = |of: &Beginning| of.tokens.last().map_or(END as i64, |&token| i64::from(token));
        let last = places(beginnings.iter().map(last).collect());
        let parents = places(parents.iter().map(|&place| place as i64).collect());
        let inputs = law.table.clone().select(0, last) + law.gates.clone().select(0, rows.clone());
        let start = self.states.clone().select(0, parents);
        let states = law.decoder.cell.states(inputs.unsqueeze::<3>(), start, Direction::Forward);
        self.states = states.clone().squeeze_dim::<2>(0);
        let memory = law.memory.as_ref().map(|memory| memory.select(&rows));
        let skip = law.skip.clone().select(0, rows);
        let logits = law.logits(states, skip, memory.as_ref(), beginnings[0].tokens.len());
        log_softmax(logits, 1).into_data().iter::<f32>().collect()
    }
}

impl TokenSequences {
    /// The number of latents.
    fn rows(&self) -> usize {
        self.start.dims()[0]
    }

    /// The empty beginning of each row, and the place of its state.
    fn beginnings(&self) -> (Vec<Beginning>, Vec<usize>) {
        let start = |row| Beginning { row, tokens: vec![], log_probability: 0.0 };
        ((0..self.rows()).map(start).collect(), (0..self.rows()).collect())
    }

    /// Texts that are made token by token: `choose(row, step, log-probabilities)` gives the next one.
    fn made(&self, choose: impl Fn(usize, usize, &[f32]) -> u16) -> Vec<Vec<u16>> {
        let mut texts = vec![vec![]; self.rows()];
        let (mut open, mut parents) = self.beginnings();
        let mut steps = Steps::new(self);
        for step in 0..self.width {
            if open.is_empty() {
                break;
            }
            let nats = steps.next(&open, &parents);
            parents.clear();
            let mut still = Vec::with_capacity(open.len());
            for (place, (mut text, nats)) in
                open.into_iter().zip(nats.chunks_exact(self.tokens())).enumerate()
            {
                match choose(text.row, step, nats) {
                    0 => texts[text.row] = text.tokens,
                    token => {
                        text.tokens.push(token);
                        parents.push(place);
                        still.push(text);
                    }
                }
            }
            open = still;
        }
        for text in open {
            texts[text.row] = text.tokens;
        }
        texts
    }

    /// The text of each row that takes the most probable token at each step; of equal ones the first.
    pub fn greedy(&self) -> Vec<Vec<u16>> {
        self.made(|_, _, nats| {
            let first = |best: usize, at: usize| if nats[at] > nats[best] { at } else { best };
            (0..nats.len()).fold(0, first) as u16
        })
    }

    /// A text for each row, drawn token by token with these numbers in `[0, 1)`, [`Self::width`] for each row.
    ///
    /// # Panics
    ///
    /// If there are fewer numbers.
    pub fn sampled(&self, uniform: &[f32]) -> Vec<Vec<u16>> {
        assert_eq!(uniform.len(), self.rows() * self.width, "a number for each token of each row");
        self.made(|row, step, nats| {
            let mut left = f64::from(uniform[row * self.width + step]);
            let chosen = nats.iter().position(|&nats| {
                left -= f64::from(nats).exp();
                left < 0.0
            });
            chosen.unwrap_or(nats.len() - 1) as u16
        })
    }

    /// For each row up to `beam` texts that are most probable, the most probable one first: those that a search finds that keeps so many
    /// beginnings of each row at each step, at least 1.
    pub fn most_probable(&self, beam: usize) -> Vec<Vec<Candidate>> {
        let beam = beam.max(1);
        let mut found: Vec<Vec<Candidate>> = vec![vec![]; self.rows()];
        let (mut open, mut parents) = self.beginnings();
        let mut steps = Steps::new(self);
        for _ in 0..self.width {
            if open.is_empty() {
                break;
            }
            let nats = steps.next(&open, &parents);
            (open, parents) = self.extended(&open, &nats, beam, &mut found);
        }
        for text in open {
            let Beginning { row, tokens, log_probability } = text;
            found[row].push(Candidate { tokens, log_probability });
        }
        for found in &mut found {
            found.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
            found.truncate(beam);
        }
        found
    }

    /// The most probable beginnings that are one token longer, with the places of those that they continue; those that end are
    /// candidates.
    fn extended(
        &self,
        open: &[Beginning],
        nats: &[f32],
        beam: usize,
        found: &mut [Vec<Candidate>],
    ) -> (Vec<Beginning>, Vec<usize>) {
        let (mut next, mut parents) = (vec![], vec![]);
        let mut first = 0;
        // The beginnings of a row are adjacent.
        for of_row in open.chunk_by(|a, b| a.row == b.row) {
            let mut longer: Vec<(f64, usize, u16)> = vec![];
            for (place, text) in (first..).zip(of_row) {
                let nats = &nats[place * self.tokens()..][..self.tokens()];
                let each = (0u16..).zip(nats);
                longer.extend(
                    each.map(|(token, &nats)| {
                        (text.log_probability + f64::from(nats), place, token)
                    }),
                );
            }
            first += of_row.len();
            let by_probability = |a: &(f64, usize, u16), b: &(f64, usize, u16)| {
                b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)))
            };
            if longer.len() > beam {
                longer.select_nth_unstable_by(beam - 1, by_probability);
                longer.truncate(beam);
            }
            longer.sort_by(by_probability);
            let found = &mut found[of_row[0].row];
            for (log_probability, place, token) in longer {
                let mut tokens = open[place].tokens.clone();
                if token == END as u16 {
                    found.push(Candidate { tokens, log_probability });
                    continue;
                }
                // A longer text is less probable: it cannot be among the first any more.
                let better = found.iter().filter(|of| of.log_probability >= log_probability);
                if better.count() < beam {
                    tokens.push(token);
                    next.push(Beginning { row: of_row[0].row, tokens, log_probability });
                    parents.push(place);
                }
            }
        }
        (next, parents)
    }
}
