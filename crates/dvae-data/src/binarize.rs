//! Binarization of gray values.

use dvae_random::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset};

/// How entries in `[0, 1]` become zeros and ones.
///
/// Metrics on data that was binarized in different ways cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Binarization {
    /// 1 above one half, else 0.
    Threshold,
    /// Drawn once, with the value as the probability of 1, and fixed afterwards: Salakhutdinov & Murray
    /// (2008), "On the Quantitative Analysis of Deep Belief Networks", section 5.
    Static,
    /// Drawn anew in each epoch of training, and always the same outside of training: Burda, Grosse &
    /// Salakhutdinov (2016), "Importance Weighted Autoencoders", appendix D.
    Dynamic,
}

impl Dataset {
    /// The rows, binarized with draws by `key` and the rows' ids; an error names an entry that is not in
    /// `[0, 1]` or was not observed.
    pub fn binarized(&self, how: Binarization, key: Key) -> Result<Self, DataError> {
        if let Some((row, _, value)) = self.find(|_, value| !(0.0..=1.0).contains(&value)) {
            return Err(DataError::NotAChance { row, value });
        }
        if self.is_cropped() {
            return Err(DataError::Cropped { what: "binarization" });
        }
        if self.is_incomplete() {
            return Err(DataError::Incomplete { what: "binarization" });
        }
        Ok(match how {
            Binarization::Threshold => self.map_to_bytes(|_, row| {
                row.iter().map(|&value| if value > 0.5 { 255 } else { 0 }).collect()
            })?,
            Binarization::Static => self.map_to_bytes(|id, row| {
                let uniform = key.rows(&[id]).uniform_host(row.len());
                row.iter().zip(uniform).map(|(value, u)| if u < *value { 255 } else { 0 }).collect()
            })?,
            Binarization::Dynamic => self.clone().drawn(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use dvae_random::Purpose;

    use super::*;

    fn gray() -> Dataset {
        Dataset::from_bytes([0, 51, 102, 153, 204, 255].repeat(200), &[6]).unwrap()
    }

    fn values(rows: &Dataset) -> Vec<f32> {
        rows.gather::<2>(&rows.ids(), &Device::flex()).into_data().try_to_vec().unwrap()
    }

    fn binarized(how: Binarization) -> Dataset {
        gray().binarized(how, Key::new(1).purpose(Purpose::Data)).unwrap()
    }

    #[test]
    fn a_threshold_cuts_at_one_half() {
        assert_eq!(
            values(&binarized(Binarization::Threshold))[..6],
            [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
        );
    }

    // Five standard deviations of the mean of 200 draws with probability one fifth.
    #[test]
    fn draws_have_the_value_as_their_chance() {
        for how in [Binarization::Static, Binarization::Dynamic] {
            let drawn = values(&binarized(how));
            assert!(drawn.iter().all(|&v| v == 0.0 || v == 1.0));
            let ones = drawn.chunks(6).map(|row| row[1]).sum::<f32>() / 200.0;
            assert!((ones - 0.2).abs() < 5.0 * (0.2f32 * 0.8 / 200.0).sqrt(), "{how:?} {ones}");
        }
    }

    #[test]
    fn dynamic_draws_change_with_the_epoch_and_static_ones_never() {
        let fixed = binarized(Binarization::Static);
        assert_eq!(values(&fixed.at_epoch(3)), values(&fixed));
        let dynamic = binarized(Binarization::Dynamic);
        assert_eq!(values(&dynamic), values(&dynamic));
        assert_ne!(values(&dynamic.at_epoch(0)), values(&dynamic.at_epoch(1)));
        assert_eq!(values(&dynamic.at_epoch(1)), values(&dynamic.at_epoch(0).at_epoch(1)));
        assert_ne!(dynamic.checksum(), gray().checksum());
    }

    #[test]
    fn what_is_no_chance_is_refused_by_row() {
        let rows = Dataset::from_floats(vec![0.0, 1.0, 0.5, 1.5], &[2]).unwrap();
        let error = rows.binarized(Binarization::Static, Key::new(1)).unwrap_err().to_string();
        assert_eq!(error, "row 1 holds 1.5: only values in [0, 1] can be binarized");
    }
}
