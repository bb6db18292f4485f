//! Models that come with the crate.

use std::path::Path;

use burn::tensor::Device;
use dvae_train::WeightFile;

use super::{ExperimentError, Pretrained};

/// A trained model that comes with the crate: [`Pretrained::bundled`]. What they were trained on, how well they clean and
/// where their limits are says `assets/photographs/README.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundled {
    /// Gray photographs of any size, `[1, height, width]` in `[0, 1]`, with Gaussian noise of an unknown standard deviation
    /// from 0 to 50 / 255, artifacts of JPEG, or both.
    GrayPhotographs,
    /// Color photographs of any size, `[3, height, width]` in `[0, 1]`, with the same damage.
    ColorPhotographs,
}

impl Bundled {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::GrayPhotographs, Self::ColorPhotographs];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GrayPhotographs => "photographs-gray",
            Self::ColorPhotographs => "photographs-color",
        }
    }

    fn weights(self) -> &'static [u8] {
        match self {
            Self::GrayPhotographs => include_bytes!("../../assets/photographs/gray.safetensors"),
            Self::ColorPhotographs => include_bytes!("../../assets/photographs/color.safetensors"),
        }
    }
}

impl Bundled {
    pub(super) fn file(self) -> Result<WeightFile, ExperimentError> {
        Ok(WeightFile::from_bytes(Path::new(self.name()), self.weights().into())?)
    }
}

impl Pretrained {
    /// Loads a model that comes with the crate on this device, or on that of the first back end that is compiled in.
    pub fn bundled(model: Bundled, device: Option<&Device>) -> Result<Self, ExperimentError> {
        let file = model.file()?;
        Self::of_weights(&file, Path::new(model.name()), device)
    }
}
