//! Processes of texts on rows of tokens.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use dvae_corruption::{
    CorruptedInput, Corruption, CorruptionConfig, CorruptionContext, Domain, TextContext,
    TypoModel, Vocabulary,
};
use dvae_random::{Key, Purpose, RowStreams};

const WIDTH: usize = 12;
const TEXTS: [&str; 4] = ["elizabeth", "", "née", "abcdefghijkl"];

fn context() -> CorruptionContext {
    let vocabulary = Arc::new(Vocabulary::of(["abcdefghijklmnopqrstuvwxyzé"], 1));
    let typos = TypoModel::learn([("teh", "the"), ("abc", "abbc"), ("xe", "e")]).unwrap();
    let texts = Some(TextContext { vocabulary, typos: Some(Arc::new(typos)) });
    CorruptionContext { domain: Domain::Tokens, table: None, texts }
}

fn rows(texts: &[&str]) -> Tensor<2> {
    let vocabulary = context().texts.unwrap().vocabulary;
    let row = |text: &&str| {
        let mut tokens: Vec<f32> = vocabulary.tokens(text).into_iter().map(f32::from).collect();
        tokens.resize(WIDTH, 0.0);
        tokens
    };
    let values: Vec<f32> = texts.iter().flat_map(row).collect();
    Tensor::from_data(TensorData::new(values, [texts.len(), WIDTH]), &Device::flex())
}

fn draws(ids: &[u64]) -> RowStreams {
    Key::new(5).purpose(Purpose::Corruption).rows(ids)
}

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn flags(tensor: Tensor<2, Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}

fn built(text: &str) -> Box<dyn Corruption<2>> {
    text.parse::<CorruptionConfig>().unwrap().build(context()).unwrap()
}

/// Every process of texts, with many errors.
fn processes() -> Vec<Box<dyn Corruption<2>>> {
    let names = CorruptionConfig::for_texts().into_iter().map(|config| config.name());
    names.map(|name| built(&format!("{name}:40"))).collect()
}

#[test]
fn a_text_meets_the_same_errors_in_any_batch_and_others_in_another_row() {
    for process in processes() {
        let ids = [3, 4, 5, 9];
        let together = process.corrupt(rows(&TEXTS), &mut draws(&ids));
        for (place, id) in ids.into_iter().enumerate() {
            let alone = process.corrupt(rows(&TEXTS[place..=place]), &mut draws(&[id]));
            let row = together.input.clone().narrow(0, place, 1);
            assert_eq!(numbers(row), numbers(alone.input), "{process:?}");
        }
        let twice = process.corrupt(rows(&["abcdefghijk"; 2]), &mut draws(&[1, 2])).input;
        let (one, two) = (twice.clone().narrow(0, 0, 1), twice.narrow(0, 1, 1));
        assert_ne!(numbers(one), numbers(two), "{process:?}");
    }
}

#[test]
fn errors_touch_characters_and_never_what_follows_a_text() {
    for process in processes() {
        let CorruptedInput { input, changed, hidden } =
            process.corrupt(rows(&TEXTS), &mut draws(&[1, 2, 3, 4]));
        assert!(hidden.is_none());
        let (input, changed) = (numbers(input), flags(changed));
        let mut touched = 0;
        for (place, text) in TEXTS.iter().enumerate() {
            let length = text.chars().count();
            let (row, flags) = (&input[place * WIDTH..], &changed[place * WIDTH..][..WIDTH]);
            assert!(flags[length..].iter().all(|&flag| !flag), "{process:?} {text}");
            touched += flags.iter().filter(|&&flag| flag).count();
            // A row is a text, and then its end.
            let end = row[..WIDTH].iter().position(|&token| token == 0.0).unwrap_or(WIDTH);
            assert!(row[end..WIDTH].iter().all(|&token| token == 0.0), "{process:?} {text}");
        }
        assert!(touched > 3, "{process:?}: {touched}");
        let null = process.at_null().unwrap().corrupt(rows(&TEXTS), &mut draws(&[1, 2, 3, 4]));
        assert_eq!(numbers(null.input), numbers(rows(&TEXTS)));
        assert!(flags(null.changed).iter().all(|&flag| !flag));
    }
}

#[test]
fn what_has_no_room_is_cut_and_what_is_not_known_is_an_unknown_character() {
    let config = |text: &str| -> Box<dyn Corruption<2>> {
        serde_json::from_str::<CorruptionConfig>(text).unwrap().build(context()).unwrap()
    };
    let doubled =
        config(r#"{"process": "typos", "level": {"fixed": 100}, "kinds": {"duplicate": 1}}"#);
    let values = numbers(doubled.corrupt(rows(&["abcdefghijkl"]), &mut draws(&[1])).input);
    assert_eq!(values, numbers(rows(&["aabbccddeeff"])));
    let masked = config(r#"{"process": "typos", "level": {"fixed": 100}, "kinds": {"mask": 1}}"#);
    let values = numbers(masked.corrupt(rows(&["abc"]), &mut draws(&[1])).input);
    assert_eq!(values[..4], [1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn what_is_not_for_texts_is_refused_and_texts_are_not_for_others() {
    let error = |text: &str, context: CorruptionContext| {
        text.parse::<CorruptionConfig>().unwrap().build::<2>(context).unwrap_err().to_string()
    };
    for process in ["gaussian", "masking", "swap", "typos+typos"] {
        let error = error(process, context());
        assert!(error.contains("it is not for texts: use `typos`"), "{error}");
    }
    for process in ["typos", "learned-typos"] {
        let error = error(process, Domain::Unit.into());
        assert!(error.contains("it is for texts, but the data are numbers in [0, 1]"), "{error}");
    }
    let mut without = context();
    without.texts.as_mut().unwrap().typos = None;
    assert!(error("learned-typos", without).contains("say by `data.typos`"));
    let one_of = r#"{"process": "one-of", "of": [{"process": "none"}, {"process": "typos"}]}"#;
    let one_of: CorruptionConfig = serde_json::from_str(one_of).unwrap();
    assert!(one_of.build::<2>(context()).is_ok());
    let process = built("typos");
    assert!(process.check(&[WIDTH]).is_ok() && process.check(&[1, WIDTH]).is_err());
}
