//! The network of texts: its likelihood is a distribution over texts, and whatever finds or draws texts follows it.

#![allow(clippy::unwrap_used)] // A test may panic.

mod token_models;

use std::collections::HashMap;
use std::sync::PoisonError;

use burn::tensor::Tensor;
use dvae_distributions::{Latents, Likelihood};
use dvae_models::{Candidate, Vae};
use token_models::{
    KERNELS, PLACES, TEXTS, TOKENS, WIDTH, assert_close, draws, enumeration, latents, model,
    neighbors, numbers, rows, sequences, some, texts,
};

#[test]
fn the_probabilities_of_all_texts_sum_to_1() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        for row in 0..3 {
            let all = enumeration(&model, &latents, row);
            let sum: f64 = all.iter().map(|(_, nats)| nats.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{places} places, row {row}: {sum}");
        }
    }
}

#[test]
fn the_end_of_a_text_counts_and_what_follows_it_is_0_nats() {
    for places in PLACES {
        let model = model(places);
        let law = Vae::<2>::decode(&model, some(&latents(&model), &[1; TEXTS]));
        let texts = texts();
        let nats = numbers(law.log_prob(rows(&texts)));
        for (text, nats) in texts.iter().zip(nats.chunks_exact(WIDTH)) {
            for (at, &nats) in nats.iter().enumerate() {
                assert!(nats.is_finite(), "{text:?} at {at}: {nats}");
                assert_eq!(nats < 0.0, at <= text.len(), "{text:?} at {at}: {nats}");
                assert!(at <= text.len() || nats == 0.0, "{text:?} at {at}: {nats}");
            }
        }
    }
}

#[test]
fn the_posterior_of_a_text_does_not_depend_on_the_texts_beside_it() {
    let _same_path = KERNELS.read().unwrap_or_else(PoisonError::into_inner);
    for places in PLACES {
        let model = model(places);
        let texts = neighbors();
        let together = Vae::<2>::embed(&model, rows(&texts));
        for (row, text) in texts.iter().enumerate() {
            let alone = Vae::<2>::embed(&model, rows(std::slice::from_ref(text)));
            for (level, (alone, together)) in
                alone.levels().iter().zip(some(&together, &[row]).levels()).enumerate()
            {
                let what = format!("{places} places, level {level}, {text:?}");
                assert_close(&numbers(together.values()), &numbers(alone.values()), 1e-6, &what);
            }
        }
    }
}

#[test]
fn the_draw_for_a_text_does_not_depend_on_the_texts_beside_it() {
    let _same_path = KERNELS.read().unwrap_or_else(PoisonError::into_inner);
    let ids = [7, 1 << 40, 3, 12, 5];
    for places in PLACES {
        let model = model(places);
        let texts = neighbors();
        let together = Vae::<2>::infer(&model, rows(&texts), &mut draws(&ids, 2));
        for (row, text) in texts.iter().enumerate() {
            let own = &mut draws(&[ids[row]], 2);
            let alone = Vae::<2>::infer(&model, rows(std::slice::from_ref(text)), own);
            let what = format!("{places} places, {text:?}");
            let of_batch = numbers(some(&together.latents, &[row]).flat());
            assert_close(&of_batch, &numbers(alone.latents.flat()), 1e-6, &what);
            let of = |kl: Tensor<1>, row| numbers(kl.narrow(0, row, 1));
            let (kl, own_kl) = (of(together.total_kl(), row), of(alone.total_kl(), 0));
            assert_close(&kl, &own_kl, 1e-5, &what);
        }
    }
}

#[test]
fn the_probability_of_a_text_does_not_depend_on_the_texts_beside_it() {
    let _same_path = KERNELS.read().unwrap_or_else(PoisonError::into_inner);
    for places in PLACES {
        let model = model(places);
        let texts = neighbors();
        let latents = some(&latents(&model), &[0, 1, 2, 1, 0]);
        let together = numbers(Vae::<2>::decode(&model, latents.clone()).log_prob(rows(&texts)));
        for (row, text) in texts.iter().enumerate() {
            let law = Vae::<2>::decode(&model, some(&latents, &[row]));
            let alone = numbers(law.log_prob(rows(std::slice::from_ref(text))));
            let what = format!("{places} places, {text:?}");
            assert_close(&together[row * WIDTH..][..WIDTH], &alone, 1e-6, &what);
        }
    }
}

// Up to the context of an inference: it has what the model computed on the way to the last level.
#[test]
fn an_inference_is_explained_as_its_latents_are() {
    for places in PLACES {
        let model = model(places);
        let clean = rows(&neighbors());
        let inference = Vae::<2>::infer(&model, clean.clone(), &mut draws(&[1, 2, 3, 4, 5], 6));
        let law = sequences(&model, &inference.latents);
        assert_eq!((law.tokens(), law.width()), (TOKENS, WIDTH));
        let expected = numbers(law.log_likelihood(clean.clone()));
        let decoded = Vae::<2>::decode(&model, inference.latents.clone());
        let explained = Vae::<2>::explain(&model, &inference);
        for (what, law) in [("decoded", decoded), ("explained", explained)] {
            assert_close(&numbers(law.log_likelihood(clean.clone())), &expected, 1e-5, what);
        }
    }
}

// With latents at each character, two texts of the same summary are told apart.
#[test]
fn the_latents_at_each_character_change_the_text() {
    let model = model(2);
    let one = some(&latents(&model), &[0]);
    let [top, below] = one.levels() else { panic!("{one:?}") };
    let reversed = below.map().flip([3]).flatten(1, 3);
    let reversed = dvae_distributions::Latent::new(reversed, below.shape());
    let other: Latents = vec![top.clone(), reversed].into();
    let nats = |latents: &Latents| -> Vec<f64> {
        enumeration(&model, latents, 0).into_iter().map(|(_, nats)| nats).collect()
    };
    let (one, other) = (nats(&one), nats(&other));
    let largest = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest > 1e-2, "{largest}");
}

fn by_probability(mut texts: Vec<(Vec<u16>, f64)>) -> Vec<(Vec<u16>, f64)> {
    texts.sort_by(|a, b| b.1.total_cmp(&a.1));
    texts
}

/// Each number is the one before or below it, and no text is there twice.
fn assert_ranked(candidates: &[Candidate]) {
    for (place, candidate) in candidates.iter().enumerate() {
        let (before, _) = candidates.split_at(place);
        let higher = before.iter().all(|of| of.log_probability >= candidate.log_probability);
        assert!(higher, "{candidates:?}");
        assert!(before.iter().all(|of| of.tokens != candidate.tokens), "{candidates:?}");
    }
}

#[test]
fn a_beam_for_every_text_finds_every_text_in_the_order_of_its_probability() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let found = sequences(&model, &latents).most_probable(TEXTS);
        assert_eq!(found.len(), 3);
        for (row, found) in found.iter().enumerate() {
            assert_ranked(found);
            let all = enumeration(&model, &latents, row);
            let nats: HashMap<Vec<u16>, f64> = all.iter().cloned().collect();
            let sorted: Vec<f64> = by_probability(all).into_iter().map(|(_, nats)| nats).collect();
            let got: Vec<f64> = found.iter().map(|of| of.log_probability).collect();
            assert_close(&got, &sorted, 1e-5, &format!("{places} places, row {row}"));
            // By text as well: neighbors in the order may be equal to the last bit.
            for candidate in found {
                let expected = nats[&candidate.tokens];
                assert_close(&[candidate.log_probability], &[expected], 1e-5, "of a text");
            }
        }
    }
}

#[test]
fn candidates_of_a_narrow_beam_have_the_probabilities_of_their_texts() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let law = sequences(&model, &latents);
        for beam in [1, 2, 5, 20] {
            for (row, found) in law.most_probable(beam).iter().enumerate() {
                let all: HashMap<_, _> = enumeration(&model, &latents, row).into_iter().collect();
                assert!(!found.is_empty() && found.len() <= beam, "{beam}: {}", found.len());
                assert_ranked(found);
                for Candidate { tokens, log_probability } in found {
                    let what = format!("{places} places, beam of {beam}, {tokens:?}");
                    assert_close(&[*log_probability], &[all[tokens]], 1e-5, &what);
                }
            }
        }
        // None is as one.
        assert_eq!(law.most_probable(0), law.most_probable(1));
    }
}

/// The most probable token after each beginning, by the sums of the probabilities of all texts that begin so.
fn greedy_by_sums(all: &[(Vec<u16>, f64)]) -> Vec<u16> {
    let mut text: Vec<u16> = vec![];
    while text.len() < WIDTH {
        let of = |token: u16| -> f64 {
            let begins = |of: &[u16]| match token {
                0 => of == text,
                token => of.starts_with(&text) && of.get(text.len()) == Some(&token),
            };
            all.iter().filter(|(of, _)| begins(of)).map(|(_, nats)| nats.exp()).sum()
        };
        let best = (0..TOKENS as u16).max_by(|&a, &b| of(a).total_cmp(&of(b))).unwrap();
        if best == 0 {
            break;
        }
        text.push(best);
    }
    text
}

#[test]
fn the_greedy_text_takes_the_most_probable_token_at_each_step() {
    for places in PLACES {
        let model = model(places);
        let latents = Vae::<2>::sample_prior(&model, &mut draws(&[0, 1, 2, 3, 4, 5, 6, 7], 1));
        let law = sequences(&model, &latents);
        let greedy = law.greedy();
        let expected: Vec<Vec<u16>> =
            (0..8).map(|row| greedy_by_sums(&enumeration(&model, &latents, row))).collect();
        assert_eq!(greedy, expected, "{places} places");
        let of_beam = law.most_probable(1).into_iter().map(|mut found| found.remove(0).tokens);
        assert_eq!(greedy, of_beam.collect::<Vec<_>>(), "{places} places");
        assert_eq!(numbers(Likelihood::<2>::mean(&law)), numbers(rows(&greedy)));
        // Not all rows are the same, and some text ends before its row does.
        assert!(greedy.iter().any(|text| *text != greedy[0]), "{greedy:?}");
        assert!(greedy.iter().any(|text| text.len() < WIDTH), "{greedy:?}");
    }
}

#[test]
fn the_variance_is_the_probability_of_another_token_and_0_after_the_end() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let law = sequences(&model, &latents);
        let variance = numbers(Likelihood::<2>::variance(&law));
        for (row, text) in law.greedy().iter().enumerate() {
            let all = enumeration(&model, &latents, row);
            let of = |begin: &[u16], ends: bool| -> f64 {
                let begins = |of: &[u16]| if ends { of == begin } else { of.starts_with(begin) };
                all.iter().filter(|(of, _)| begins(of)).map(|(_, nats)| nats.exp()).sum()
            };
            let other = |at: usize| match at.cmp(&text.len()) {
                std::cmp::Ordering::Less => 1.0 - of(&text[..=at], false) / of(&text[..at], false),
                std::cmp::Ordering::Equal => 1.0 - of(text, true) / of(text, false),
                std::cmp::Ordering::Greater => 0.0,
            };
            let expected: Vec<f64> = (0..WIDTH).map(other).collect();
            let what = format!("{places} places, {text:?}");
            assert_close(&variance[row * WIDTH..][..WIDTH], &expected, 1e-5, &what);
        }
    }
}

#[test]
fn samples_have_the_frequencies_of_the_probabilities() {
    const COUNT: usize = 40_000;
    let ids: Vec<u64> = (0..COUNT as u64).collect();
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let law = sequences(&model, &latents).select(&[2; COUNT]);
        let drawn: Tensor<2> = law.sample(&mut draws(&ids, 4));
        let mut counts: HashMap<Vec<u16>, usize> = HashMap::new();
        for row in numbers(drawn).chunks_exact(WIDTH) {
            let tokens = row.iter().map(|&token| token as u16);
            *counts.entry(tokens.collect()).or_default() += 1;
        }
        let filled = |text: &[u16]| [text, &[0; WIDTH][text.len()..]].concat();
        // Five standard errors of a frequency; of rare texts together, whose counts are not normal.
        let (mut rare, mut compared, mut seen) = ((0.0, 0), 0, 0);
        let assert_frequency = |p: f64, count: usize, what: &str| {
            let (expected, n) = (p * COUNT as f64, COUNT as f64);
            let error = (n * p * (1.0 - p)).sqrt();
            let gap = (count as f64 - expected).abs();
            assert!(gap <= 5.0 * error + 1.0, "{what}: {count} of {expected} ± {error}");
        };
        for (text, nats) in enumeration(&model, &latents, 2) {
            let (p, count) = (nats.exp(), counts.get(&filled(&text)).copied().unwrap_or(0));
            seen += count;
            if p * (COUNT as f64) < 50.0 {
                rare = (rare.0 + p, rare.1 + count);
                continue;
            }
            compared += 1;
            assert_frequency(p, count, &format!("{places} places, {text:?}"));
        }
        assert_frequency(rare.0, rare.1, "rare texts");
        assert!(compared >= 10, "only {compared} texts are frequent");
        assert_eq!(seen, COUNT, "rows that are no texts filled up with ends");
    }
}

#[test]
fn a_sample_does_not_depend_on_the_rows_beside_it() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let ids = [9, 4, 1 << 33];
        let law = sequences(&model, &latents);
        let together = numbers(Likelihood::<2>::sample(&law, &mut draws(&ids, 8)));
        for row in 0..3 {
            let own = sequences(&model, &some(&latents, &[row]));
            let alone = numbers(Likelihood::<2>::sample(&own, &mut draws(&[ids[row]], 8)));
            assert_eq!(together[row * WIDTH..][..WIDTH], alone, "{places} places, row {row}");
        }
    }
}

#[test]
fn selected_rows_are_the_distributions_of_these_rows() {
    for places in PLACES {
        let model = model(places);
        let latents = latents(&model);
        let chosen = [2, 0, 2, 1, 1];
        let texts = rows(&neighbors());
        let law = sequences(&model, &latents).select(&chosen);
        let expected = sequences(&model, &some(&latents, &chosen));
        let nats = numbers(law.log_likelihood(texts.clone()));
        let what = format!("{places} places");
        assert_close(&nats, &numbers(expected.log_likelihood(texts.clone())), 1e-5, &what);
        assert_eq!(law.greedy(), expected.greedy());
        assert_eq!(law.most_probable(3).len(), 5);
        // Other rows are other distributions.
        let other = sequences(&model, &some(&latents, &[0, 1, 0, 2, 0]));
        let other = numbers(other.log_likelihood(texts));
        assert!(nats.iter().zip(&other).all(|(a, b)| (a - b).abs() > 1e-3), "{nats:?} {other:?}");
    }
}
