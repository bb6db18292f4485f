//! The embedded set: a stratified part of Fashion-MNIST.

use crate::{Dataset, Sets};

const SIDE: usize = 28;
const TRAIN: &[u8] = include_bytes!("../assets/fashion-mnist/train.png");
const TEST: &[u8] = include_bytes!("../assets/fashion-mnist/test.png");
const TRAIN_LABELS: &[u8] = include_bytes!("../assets/fashion-mnist/train-labels.bin");
const TEST_LABELS: &[u8] = include_bytes!("../assets/fashion-mnist/test-labels.bin");

/// 5,000 training and 1,000 test images of Fashion-MNIST, 28×28 gray values, 10 classes.
///
/// The first 500 and 100 images of each class, in the original order. Xiao, Rasul and Vollgraf (2017),
/// "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms"; MIT license, © 2017
/// Zalando SE. Each part is stored as one PNG image, 28 pixels wide, with its images below each other;
/// `cargo run --release --example embed_fashion_mnist -- DIR` regenerates them from the full IDX files.
pub fn fashion_mnist() -> Sets {
    Sets { train: strip(TRAIN, TRAIN_LABELS), test: strip(TEST, TEST_LABELS) }
}

fn strip(picture: &[u8], labels: &[u8]) -> Dataset {
    let strip = crate::picture_row(picture).expect("an embedded picture");
    strip.cut(&[1, SIDE, SIDE]).expect("whole images").labeled(labels.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_images_of_every_class() {
        let sets = fashion_mnist();
        for (set, each) in [(&sets.train, 500), (&sets.test, 100)] {
            assert_eq!((set.len(), set.event()), (10 * each, &[1, SIDE, SIDE][..]));
            let labels = set.labels().unwrap();
            for class in 0..10 {
                assert_eq!(labels.iter().filter(|&&label| label == class).count(), each);
            }
        }
    }

    // The mean gray value of the full training set is 0.2860 (72.94 of 255); a subset of 5,000 differs by
    // chance, but by far less than an incorrect decoder would.
    #[test]
    fn has_the_brightness_of_the_full_set() {
        let sets = fashion_mnist();
        let ids = sets.train.ids();
        let images = sets.train.gather::<4>(&ids, &burn::tensor::Device::flex());
        let mean = images.mean().into_scalar::<f32>();
        assert!((mean - 0.286).abs() < 0.01, "{mean}");
    }
}
