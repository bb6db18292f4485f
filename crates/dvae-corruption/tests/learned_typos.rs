//! Learned typing errors: what a model counts, how often each error is made, and in any text.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::HashMap;
use std::sync::Arc;

use dvae_corruption::{CorruptedText, LearnedTypos, Level, TextCorruption, TypoModel, Typos};
use dvae_random::{Key, Purpose, RowStreams};
use proptest::prelude::*;

fn rows(count: usize) -> RowStreams {
    let ids: Vec<u64> = (0..count as u64).collect();
    Key::new(1).purpose(Purpose::Corruption).rows(&ids)
}

fn learn(pairs: &[(&str, &str)]) -> TypoModel {
    TypoModel::learn(pairs.iter().copied()).unwrap()
}

fn typos(level: impl Into<Level>, pairs: &[(&str, &str)]) -> LearnedTypos {
    LearnedTypos::new(level, Arc::new(learn(pairs))).unwrap()
}

/// What becomes of a text with an error wherever one can be made.
fn all(pairs: &[(&str, &str)], text: &str) -> String {
    typos(100.0, pairs).corrupt(&[text], &mut rows(1)).swap_remove(0).text
}

/// The five texts of which the laws below are worked out: one error of each kind, and none.
const THE: [(&str, &str); 5] =
    [("teh", "the"), ("th", "the"), ("tje", "the"), ("thee", "the"), ("the", "the")];

#[test]
fn a_model_counts_errors_and_where_they_could_have_been_made() {
    let json = |pairs: &[_]| serde_json::to_string(&learn(pairs)).unwrap();
    assert_eq!(
        json(&[("teh", "the")]),
        r#"{"left_out":0,"seen":{"":{"t":1},"h":{"e":1},"t":{"h":1}},"deleted":{},"inserted":{},"substituted":{},"transposed":{"h":{"e":1}}}"#
    );
    assert_eq!(
        json(&THE),
        r#"{"left_out":0,"seen":{"":{"t":5},"h":{"e":5},"t":{"h":5}},"deleted":{"h":{"e":1}},"inserted":{"e":{"e":1}},"substituted":{"h":{"j":1}},"transposed":{"h":{"e":1}}}"#
    );
    // The start of a text; the second of two. Two pairs are left out: one without a letter in common, and an empty right text.
    assert_eq!(
        json(&[("xabc", "abcc"), ("abcd", "wxyz"), ("a", "")]),
        r#"{"left_out":2,"seen":{"":{"a":1},"a":{"b":1},"b":{"c":1},"c":{"c":1}},"deleted":{"c":{"c":1}},"inserted":{"":{"x":1}},"substituted":{},"transposed":{}}"#
    );
    let model = learn(&THE);
    assert_eq!((model.pairs(), model.left_out()), (5, 0));
    // Composed or not, in any case.
    assert_eq!(learn(&[("e", "é")]), learn(&[("E", "E\u{301}")]));
    assert_eq!(learn(&[("👨‍👩‍👧a", "a👨‍👩‍👧")]).pairs(), 1);
}

/// The probability of each error of "the", worked out by the formulas of `TypoModel`, by what it makes of the text.
///
/// 15 letters are seen, 5 each of t, h and e, so that r = 1/15 for deletions and substitutions; of 10 pairs of neighbors one is
/// swapped, r = 1/10; of 20 places one has a letter too many, r = 1/20. All of g is on the one letter written: j or e.
const OF_THE: [&[(&str, f64)]; 3] = [
    &[("he", 1.0 / 20.0), ("jhe", 1.0 / 20.0), ("hte", 1.0 / 15.0), ("ethe", 1.0 / 25.0)],
    &[("te", 1.0 / 20.0), ("tje", 2.0 / 20.0), ("teh", 2.0 / 15.0), ("tehe", 1.0 / 25.0)],
    // An e after h or after e.
    &[("th", 2.0 / 20.0), ("thj", 1.0 / 20.0), ("thee", 3.0 / 25.0)],
];

// Binomial: of 300,000 texts at a level of 1, within 5 σ. Two errors that look like another one have a probability of 10⁻⁵.
#[test]
fn errors_are_as_frequent_as_learned() {
    let [t, h, e] = OF_THE.map(|errors| errors.iter().map(|(_, rate)| rate).sum::<f64>());
    let [swaps_t, swaps_h] = [1.0 / 15.0, 2.0 / 15.0];
    // Expected errors at a scale: h has one unless t took it, and so on; bisected for 3 places at 1 in 100.
    let expected = |s: f64| {
        let at_h = (1.0 - s * swaps_t) * s * h;
        s * t + at_h + (1.0 - at_h * swaps_h / h) * s * e
    };
    let [mut low, mut high] = [0.0, 1.0];
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        *(if expected(middle) < 0.03 { &mut low } else { &mut high }) = middle;
    }
    let count = 300_000;
    let mut found: HashMap<String, f64> = HashMap::new();
    for damaged in typos(1.0, &THE).corrupt(&vec!["the"; count], &mut rows(count)) {
        *found.entry(damaged.text).or_default() += 1.0;
    }
    for (place, errors) in OF_THE.iter().enumerate() {
        for (text, rate) in *errors {
            let others = [t, h, e].into_iter().enumerate().filter(|(other, _)| {
                let is_taken = (*text == "hte" && *other == 1) || (*text == "teh" && *other == 2);
                *other != place && !is_taken
            });
            let alone: f64 = others.map(|(_, sum)| 1.0 - low * sum).product();
            let (p, found) = (low * rate * alone, found[*text] / count as f64);
            let sigma = (p * (1.0 - p) / count as f64).sqrt();
            assert!((found - p).abs() < 5.0 * sigma + 1e-5, "{text}: {found}, not {p}");
        }
    }
}

// One kind alone, so that errors can be counted. An a is replaced five times as often as a b: at 10 and 40 there is no cap; at 70 an a
// always, and b at 40 in 100; at 100 both. Binomial: within 5 σ, where σ² is at most a quarter of the places.
#[test]
fn the_level_is_the_expected_number_of_errors() {
    let mut pairs = vec![("xb", "ab"); 9];
    pairs.push(("ax", "ab"));
    let text = "ab".repeat(20_000);
    for level in [1.0, 10.0, 40.0, 70.0, 90.0, 100.0] {
        let damaged = typos(level, &pairs).corrupt(&[&text], &mut rows(1)).swap_remove(0).text;
        let replaced = |letter| 20_000.0 - damaged.matches(letter).count() as f64;
        let [a, b] = ["a", "b"].map(replaced);
        assert!((a + b - 400.0 * level).abs() < 5.0 * 100.0, "{level}: {a}, {b}");
        let capped = (level / 60.0_f64).min(1.0);
        assert!((a - 20_000.0 * capped).abs() < 5.0 * 71.0, "{level}: {a}");
    }
    // Swaps take two letters and leave the last one none: at 40, of 39,999 places; at most one for two. Their sum is a renewal process
    // with less variance than independent ones.
    for (level, expected) in [(1.0, 400.0), (10.0, 4000.0), (40.0, 16_000.0), (80.0, 20_000.0)] {
        let swaps = typos(level, &[("ba", "ab"), ("ab", "ba")]);
        let changed = swaps.corrupt(&[&text], &mut rows(1)).swap_remove(0).changed;
        let swaps = changed.iter().filter(|changed| **changed).count() as f64 / 2.0;
        assert!((swaps - expected).abs() <= 500.0, "{level}: {swaps}");
    }
    // A short text, where the last place has two chances and its cap matters: 4 letters at 40, 1.6 errors.
    let damaged = typos(40.0, &[("abb", "ab")]).corrupt(&["bbbb"; 20_000], &mut rows(20_000));
    let put: usize = damaged.iter().map(|damaged| damaged.text.len() - 4).sum();
    assert!((put as f64 - 32_000.0).abs() < 5.0 * 142.0, "{put}");
}

#[test]
fn unseen_letters_have_the_errors_of_all() {
    assert_eq!(all(&[("teh", "the")], "Ωß7!"), "ßω!7");
    assert_eq!(all(&[("x", "a")], "Жq 7"), "Xxxx");
    assert_eq!(all(&[("th", "the")], "שלום 👨‍👩‍👧"), "");
    // No error that would change nothing.
    assert_eq!(all(&[("teh", "the")], "ωωΩ"), "ωωΩ");
    assert_eq!(all(&[("x", "a"), ("y", "x")], "xX"), "yY");
}

#[test]
fn letters_are_written_in_the_case_at_their_place() {
    let swap = [("teh", "the")];
    assert_eq!(all(&swap, "Th"), "Ht");
    assert_eq!(all(&swap, "A7"), "7A");
    assert_eq!(all(&swap, "AB c"), "BAc ");
    assert_eq!(all(&swap, "ÉA"), "AÉ");
    assert_eq!(all(&[("y", "x")], "xX ß"), "yYYy");
}

#[test]
fn a_letter_may_come_after_the_last() {
    let damaged = typos(100.0, &[("as", "a")]).corrupt(&["B"; 200], &mut rows(200));
    let ends: Vec<&str> = damaged.iter().map(|damaged| &*damaged.text).collect();
    assert!(ends.contains(&"BS") && ends.contains(&"SB"));
    assert!(damaged.iter().all(|damaged| damaged.text.len() == 2 && damaged.changed == [true]));
    // It is one of those after that letter: after an a, (1 + ½) / 2 of them are x; binomial, within 5 σ of about 500.
    let damaged = typos(100.0, &[("ax", "a"), ("yb", "b")]).corrupt(&["a"; 1000], &mut rows(1000));
    let [x, y] = ["ax", "ay"].map(|text| damaged.iter().filter(|of| of.text == text).count());
    assert!((x as f64 / (x + y) as f64 - 0.75).abs() < 0.1, "{x} and {y}");
}

// Two equal letters are no place for a swap, however many there are: the pair that was swapped at its only place has the rate of the
// kind, as have the three that the model lacks. Of 2,000 swaps 500 are of each pair.
#[test]
fn equal_letters_are_no_place_for_a_swap() {
    let mut pairs = vec![("llllllll", "llllllll"); 100];
    pairs.push(("ba", "ab"));
    let damaged = typos(1.0, &pairs).corrupt(&["ab cd"; 50_000], &mut rows(50_000));
    let [seen, unseen] =
        ["ba cd", "ab dc"].map(|text| damaged.iter().filter(|of| of.text == text).count());
    assert!(seen.abs_diff(unseen) < 160 && seen > 300, "{seen} and {unseen}");
}

// White space is the start of a word, in texts and in pairs.
#[test]
fn each_word_of_a_text_starts() {
    let mut pairs = vec![("xab", "ab"); 50];
    pairs.push(("abx", "ab"));
    // A start has 52 / (51 + 3), and a place after a letter that the model lacks 1/3.
    let text = "ab?ab ".repeat(1000);
    let damaged = typos(10.0, &pairs).corrupt(&[&text], &mut rows(1)).swap_remove(0).text;
    let [starts, others] = [" xa", "?xa"].map(|part| damaged.matches(part).count());
    assert!(starts > 2 * others && others > 50, "{starts} and {others}");
    // Of 2 starts one has an x, and of 4 places in all: 2 / (2 + 4) at a start, and 1 / (1 + 4) after b. Of one letter too many a share of
    // 5/8 is before the b, within 5 σ.
    let damaged = typos(100.0, &[("a xb", "a b")]).corrupt(&["b"; 4000], &mut rows(4000));
    let before = damaged.iter().filter(|damaged| damaged.text == "xb").count();
    assert!(before.abs_diff(2500) < 5 * 31, "{before}");
}

#[test]
fn only_proportions_of_pairs_without_an_error_matter() {
    let texts = ["Elizabeth Bennet"; 50];
    let corrupt = |pairs: &[_]| typos(20.0, pairs).corrupt(&texts, &mut rows(50));
    let pairs = [("elizabteh", "elizabeth"), ("benet", "bennet"), ("netherfeild", "netherfield")];
    let twice: Vec<_> = pairs.into_iter().chain(pairs.map(|(_, right)| (right, right))).collect();
    assert_eq!(corrupt(&twice), corrupt(&pairs));
    // Where a letter is often right, errors go elsewhere: of two letters as often wrong, the one seen eleven times as often.
    let mut pairs = vec![("x", "a"), ("x", "b")];
    pairs.extend([("a", "a"); 10]);
    let damaged = typos(10.0, &pairs).corrupt(&[&*"ab".repeat(5000)], &mut rows(1));
    let [a, b] = ["a", "b"].map(|letter| 5000 - damaged[0].text.matches(letter).count());
    // r = 2/12: 2 / (11 + 6) for a, and 2 / (1 + 6) for b. Of 1000 errors a share of 7/24, within 5 σ of 15 or so.
    assert!((a as f64 - 1000.0 * 7.0 / 24.0).abs() < 90.0, "{a} and {b}");
}

#[test]
fn a_file_gives_the_same_errors() {
    let model = learn(&THE);
    let json = serde_json::to_string(&model).unwrap();
    let back: TypoModel = serde_json::from_str(&json).unwrap();
    assert_eq!(back, model);
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    let [own, read] = [model, back].map(|model| LearnedTypos::new(30.0, Arc::new(model)).unwrap());
    let texts = ["The other text"; 50];
    assert_eq!(read.corrupt(&texts, &mut rows(50)), own.corrupt(&texts, &mut rows(50)));
    // The order of pairs does not matter.
    let reversed: Vec<_> = THE.into_iter().rev().collect();
    assert_eq!(serde_json::to_string(&learn(&reversed)).unwrap(), json);
}

#[test]
fn a_file_of_impossible_counts_is_an_error_or_harmless() {
    let file = |seen: &str, errors: &str| {
        let json = format!(
            r#"{{"left_out":0,"seen":{seen},"deleted":{errors},"inserted":{errors},"substituted":{errors},"transposed":{errors}}}"#
        );
        serde_json::from_str::<TypoModel>(&json)
    };
    let error = file(r#"{"":{"a":2}}"#, "{}").unwrap_err().to_string();
    assert!(error.contains("no pair has an error to learn: 2 have none"), "{error}");
    assert!(serde_json::from_str::<TypoModel>(r#"{"left_out":0}"#).is_err());
    for errors in [r#"{"":{"":3},"a":{"":1,"a":9}}"#, r#"{"a":{"b":18446744073709551615,"c":7}}"#] {
        for seen in ["{}", r#"{"a":{"":1}}"#, r#"{"":{"":18446744073709551615}}"#] {
            let typos = LearnedTypos::new(50.0, Arc::new(file(seen, errors).unwrap())).unwrap();
            let damaged = typos.corrupt(&["aab c"; 20], &mut rows(20));
            assert!(damaged.iter().all(|damaged| damaged.changed.len() == 5));
        }
    }
}

#[test]
fn lines_are_pairs() {
    let model = TypoModel::from_lines(
        "# comment\n\nteh->the\r\n tje → the, he,\nth->the, disabled because of th\n  # more\nthee\tthe\nthe\tthe\n",
    );
    assert_eq!(model.unwrap(), learn(&THE));
    // After a tab the text is the rest of the line, with its commas.
    let name = TypoModel::from_lines("Benet, Jane\tBennet, Jane").unwrap();
    assert_eq!(name, learn(&[("benet, jane", "bennet, jane")]));
}

#[test]
fn what_cannot_be_is_named() {
    let error = |text: &str| TypoModel::from_lines(text).unwrap_err().to_string();
    for line in ["the", "->the", "teh->", "teh-> , the", "teh\t"] {
        assert_eq!(
            error(&format!("teh->the\n\n{line}\nteh")),
            format!(
                "line 3: `{line}` is not a pair: write WRONG->RIGHT, WRONG → RIGHT, or the two with a tab between"
            )
        );
    }
    assert_eq!(
        error("the->the\nabcd->wxyz"),
        "no pair has an error to learn: 1 have none, and 1 are too different"
    );
    assert!(TypoModel::learn([]).is_err());
    let model = Arc::new(learn(&THE));
    let error = LearnedTypos::new(100.5, model).unwrap_err().to_string();
    assert!(error.contains("`edits`"), "{error}");
    assert_eq!(LearnedTypos::SCALE, Typos::SCALE);
}

#[test]
fn a_row_has_its_noise_in_any_batch_and_its_level() {
    let texts: Vec<String> = (0..50).map(|at| format!("the text of row {at}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let typos = typos(Level::Uniform([0.0, 60.0]), &THE);
    let whole = typos.corrupt(&texts, &mut rows(50));
    let ids: Vec<u64> = (10..20).collect();
    let part = &mut Key::new(1).purpose(Purpose::Corruption).rows(&ids);
    assert_eq!(typos.corrupt(&texts[10..20], part), whole[10..20]);
    let none = typos.at_level(Level::Fixed(0.0)).unwrap().corrupt(&texts, &mut rows(50));
    assert!(none.iter().zip(&texts).all(|(none, text)| none.text == *text));
    assert!(none.iter().all(|none| !none.changed.contains(&true)));
}

// Linear in the text: quadratic time would be minutes.
#[test]
fn long_texts_are_corrupted_and_learned() {
    for letter in ["e", "👨‍👩‍👧", "e\u{301}\u{302}"] {
        let text = letter.repeat(100_000);
        let damaged = typos(10.0, &THE).corrupt(&[&text], &mut rows(1)).swap_remove(0);
        assert_eq!(damaged.changed.len(), text.chars().count());
        // 10,000 errors, with a deviation of at most 100.
        let of_letter = letter.chars().count();
        let touched = damaged.changed.iter().filter(|changed| **changed).count() / of_letter;
        assert!(touched.abs_diff(10_000) < 500, "{touched}");
    }
    let right = "the ".repeat(25_000);
    let wrong = right.replacen("the", "teh", 20);
    let model = learn(&[(&wrong, &right), (&"a".repeat(100_000), &right)]);
    assert_eq!((model.pairs(), model.left_out()), (1, 1));
}

proptest! {
    // Any text: what was not touched is there, in its order, and a text without errors is as it was.
    #[test]
    fn any_text_is_taken_and_learned(
        text in "(?s).{0,40}",
        pairs in prop::collection::vec(("(?s).{0,6}", "(?s).{0,6}"), 0..6),
        level in 0.0..100.0,
    ) {
        let pairs = pairs.iter().map(|(wrong, right)| (wrong.as_str(), right.as_str()));
        let model = TypoModel::learn(pairs.chain(THE)).unwrap();
        let json = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(&serde_json::from_str::<TypoModel>(&json).unwrap(), &model);
        let typos = LearnedTypos::new(level, Arc::new(model)).unwrap();
        let CorruptedText { text: damaged, changed } =
            typos.corrupt(&[&text], &mut rows(1)).swap_remove(0);
        prop_assert_eq!(changed.len(), text.chars().count());
        let kept = text.chars().zip(&changed).filter(|(_, changed)| !**changed).map(|(kept, _)| kept);
        let mut rest = damaged.chars();
        prop_assert!(kept.into_iter().all(|kept| rest.any(|letter| letter == kept)));
        prop_assert!(changed.contains(&true) || damaged == text);
    }

    #[test]
    fn any_lines_are_parsed_or_named(text in "(?s)([a-c→>#,\t\n -]|.){0,30}") {
        _ = TypoModel::from_lines(&text);
    }
}
