//! Typing errors: what each kind does, how often, and to any text.

#![allow(clippy::unwrap_used)] // A test may panic.

use dvae_corruption::{
    CorruptedText, CorruptionError, Keyboard, Level, TextCorruption, TypoKind, Typos,
};
use dvae_random::{Key, Purpose, RowStreams};
use proptest::prelude::*;
use strum::IntoEnumIterator;

fn rows(count: usize) -> RowStreams {
    let ids: Vec<u64> = (0..count as u64).collect();
    Key::new(1).purpose(Purpose::Corruption).rows(&ids)
}

fn only(kind: TypoKind, level: impl Into<Level>) -> Typos {
    Typos::new(level).unwrap().kinds(&[(kind, 1.0)]).unwrap()
}

/// What becomes of a text when errors of a kind are made wherever they can be.
fn all(kind: TypoKind, text: &str) -> String {
    only(kind, 100.0).corrupt(&[text], &mut rows(1)).swap_remove(0).text
}

#[test]
fn each_kind_is_what_it_says() {
    assert_eq!(all(TypoKind::Delete, "abc"), "");
    assert_eq!(all(TypoKind::Duplicate, "a👨‍👩‍👧é"), "aa👨‍👩‍👧👨‍👩‍👧éé");
    assert_eq!(all(TypoKind::Transpose, "abcde"), "badce");
    assert_eq!(all(TypoKind::Transpose, "aab"), "aba");
    assert_eq!(all(TypoKind::Transpose, "🇩🇩🇩"), "🇩🇩🇩");
    // Composed or not, a letter is the same.
    for text in ["é a", "e\u{301} a"] {
        let keys = only(TypoKind::Neighbor, 100.0).keyboard(Keyboard::Azerty);
        let beside = &keys.corrupt(&[text], &mut rows(1))[0].text;
        assert!("&\"az1\u{0}".contains(beside.chars().next().unwrap()), "{beside}");
        assert_eq!(beside.chars().count(), 3, "{beside}");
    }
    assert_eq!(all(TypoKind::Split, "e\u{301}te"), "e\u{301} t e");
    assert_eq!(all(TypoKind::Case, "Straße 5, ÉTÉ"), "sTRAßE 5, été");
    assert_eq!(all(TypoKind::Accent, "Zoë Núñez"), "Zoe Nunez");
    assert_eq!(all(TypoKind::Join, " to be\u{a0}or  so "), " tobeor  so ");
    assert_eq!(all(TypoKind::Split, "to be!"), "t o b e!");
    assert_eq!(all(TypoKind::LookAlike, "mB"), "rn8");
    assert_eq!(all(TypoKind::LookAlike, "rn\u{301}B"), "rn\u{301}8");
    assert_eq!(all(TypoKind::LookAlike, "rnB"), "m8");
    // A vowel sign is no accent, nor are the parts of a syllable.
    assert_eq!(all(TypoKind::Accent, "कि 가"), "कि 가");
    let inserted = all(TypoKind::Insert, "aB");
    let letters: Vec<char> = inserted.chars().collect();
    assert_eq!((letters.len(), letters[1], letters[3]), (4, 'a', 'B'), "{inserted}");
    assert!(letters[0].is_lowercase() && letters[2].is_uppercase(), "{inserted}");
    let replaced = all(TypoKind::Replace, "aB 7");
    assert!(replaced.ends_with(" 7") && !replaced.contains(['a', 'B']), "{replaced}");
    let beside = all(TypoKind::Neighbor, "Q!");
    assert!(["W!", "A!"].contains(&&*beside), "{beside}");
    let french = only(TypoKind::Neighbor, 100.0).keyboard(Keyboard::Azerty);
    let beside = &french.corrupt(&["q"], &mut rows(1))[0].text;
    assert!("azsw".contains(&**beside), "{beside}");
    let greek = only(TypoKind::Replace, 100.0).alphabet("αΒβ\u{301}".chars()).unwrap();
    assert_eq!(greek.corrupt(&["αΒ"], &mut rows(1))[0].text, "βΑ");
}

// Binomial: of 40,000 places a tenth, within 6 σ.
#[test]
fn the_level_is_the_number_of_errors_for_a_hundred_places() {
    let texts = vec!["abcdefghij"; 4000];
    for kind in [TypoKind::Delete, TypoKind::Replace, TypoKind::Insert, TypoKind::Case] {
        let damaged = only(kind, 10.0).corrupt(&texts, &mut rows(4000));
        let errors: usize = damaged
            .iter()
            .map(|text| text.changed.iter().filter(|changed| **changed).count())
            .sum();
        assert!((errors as f64 - 4000.0).abs() < 6.0 * 60.0, "{kind:?}: {errors}");
    }
    // An error of four takes up two characters: a rate of p / (1 + p/4), and 5/4 characters touched by each.
    let long = ["abcdefghij".repeat(1000)];
    let damaged = Typos::new(16.0).unwrap().corrupt(&[&*long[0]; 4], &mut rows(4));
    let touched: usize =
        damaged.iter().map(|text| text.changed.iter().filter(|changed| **changed).count()).sum();
    let expected = 40_000.0 * 0.16 / 1.04 * 1.25;
    assert!((touched as f64 - expected).abs() < 6.0 * 95.0, "{touched}, not {expected}");
    // Weights are those of the errors that can be made: here one of the two.
    let both = Typos::new(10.0).unwrap();
    let both = both.kinds(&[(TypoKind::Delete, 3.0), (TypoKind::Duplicate, 1.0)]).unwrap();
    let damaged = both.corrupt(&texts, &mut rows(4000));
    let shorter: i64 = damaged.iter().map(|text| 10 - text.text.len() as i64).sum();
    // 3000 letters are gone and 1000 are doubled, with a deviation of 60 each.
    assert!((shorter - 2000).abs() < 500, "{shorter}");
}

#[test]
fn a_row_has_its_noise_in_any_batch_and_its_level() {
    let texts: Vec<String> = (0..50).map(|at| format!("the text of row {at}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let typos = Typos::new(Level::Uniform([0.0, 60.0])).unwrap();
    let whole = typos.corrupt(&texts, &mut rows(50));
    let ids: Vec<u64> = (10..20).collect();
    let part = &mut Key::new(1).purpose(Purpose::Corruption).rows(&ids);
    assert_eq!(typos.corrupt(&texts[10..20], part), whole[10..20]);
    let none = typos.at_level(Level::Fixed(0.0)).unwrap().corrupt(&texts, &mut rows(50));
    assert!(none.iter().zip(&texts).all(|(none, text)| none.text == *text));
    assert!(none.iter().all(|none| !none.changed.contains(&true)));
}

#[test]
fn what_cannot_be_is_named() {
    assert!(Typos::new(100.5).unwrap_err().to_string().contains("`edits`"));
    let typos = Typos::new(1.0).unwrap();
    for kinds in [
        &[][..],
        &[(TypoKind::Case, 0.0)],
        &[(TypoKind::Case, -1.0)],
        &[(TypoKind::Case, f64::NAN)],
    ] {
        assert!(matches!(typos.clone().kinds(kinds), Err(CorruptionError::Weights { .. })));
    }
    assert_eq!(typos.alphabet(['\u{301}']), Err(CorruptionError::NoLetter));
}

proptest! {
    // Any text: what was not touched is there, in its order, and a text without errors is as it was.
    #[test]
    fn any_text_is_taken(
        text in "(?s).{0,40}",
        kinds in prop::collection::vec(0..TypoKind::iter().count(), 1..4),
        level in 0.0..100.0,
    ) {
        let kinds: Vec<_> =
            kinds.into_iter().map(|at| (TypoKind::iter().nth(at).unwrap(), 1.0)).collect();
        let typos = Typos::new(level).unwrap().kinds(&kinds).unwrap();
        let CorruptedText { text: damaged, changed } =
            typos.corrupt(&[&text], &mut rows(1)).swap_remove(0);
        prop_assert_eq!(changed.len(), text.chars().count());
        let kept = text.chars().zip(&changed).filter(|(_, changed)| !**changed).map(|(kept, _)| kept);
        let mut rest = damaged.chars();
        prop_assert!(kept.into_iter().all(|kept| rest.any(|letter| letter == kept)));
        prop_assert_eq!(changed.contains(&true), damaged != text);
    }
}
