//! Convolutions as residual networks over maps use them.

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use crate::Activation;
#[cfg(feature = "flex")]
use crate::{covered, flex::FusedMaps};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// How the sides of maps change before a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// They stay.
    Keep,
    /// They are halved, and rounded up: only every second position is computed (stride 2).
    Halve,
    /// They are doubled by repeating each position, and then cropped to these sides, each twice the side before or one
    /// less.
    Double {
        /// Height after it.
        height: usize,
        /// Width after it.
        width: usize,
    },
}

impl Resize {
    /// Height and width of the convolution's output from those of its input.
    pub fn sides(self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Keep => [height, width],
            Self::Halve => [height.div_ceil(2), width.div_ceil(2)],
            Self::Double { height, width } => [height, width],
        }
    }

    fn fits(self, [height, width]: [usize; 2]) -> bool {
        match self {
            Self::Keep | Self::Halve => true,
            Self::Double { height: h, width: w } => {
                h.div_ceil(2) == height && w.div_ceil(2) == width
            }
        }
    }
}

/// A convolution of a map that is activated and resized first, with something added to it:
/// `conv(resize(act(x))) + bias + add`. Its kernel is 3 with padding 1, or 1.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use dvae_kernels::{Activation, MapConv, Resize};
///
/// let device = Device::flex();
/// let x = Tensor::<4>::ones([1, 2, 5, 5], &device);
/// let (weight, bias) = (Tensor::ones([3, 2, 3, 3], &device), Tensor::zeros([3], &device));
/// let conv = MapConv { activation: Activation::Relu, resize: Resize::Halve };
/// assert_eq!(conv.forward(x, weight, bias, None).dims(), [1, 3, 3, 3]);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapConv {
    /// Applied to the input.
    pub activation: Activation,
    /// Applied after it.
    pub resize: Resize,
}

impl MapConv {
    /// `x` `[rows, inputs, height, width]`, `weight` `[outputs, inputs, kernel, kernel]`, `bias` `[outputs]`, and
    /// `add` in the shape of the output, `[rows, outputs, height, width]` after resizing.
    ///
    /// # Panics
    ///
    /// If the shapes do not match.
    pub fn forward(
        self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Tensor<1>,
        add: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let [rows, _, height, width] = x.dims();
        assert!(self.resize.fits([height, width]), "{:?} from {height} × {width}", self.resize);
        let [height, width] = self.resize.sides([height, width]);
        if let Some(add) = &add {
            assert_eq!(add.dims(), [rows, bias.dims()[0], height, width], "what is added");
        }
        #[cfg(feature = "flex")]
        if covered!(x, weight, bias)
            && add.as_ref().is_none_or(|add| covered!(add))
            && fits(x.dims(), weight.dims(), bias.dims(), self.resize)
        {
            let (x, weight, bias) =
                (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
            return Tensor::from_dispatch(match add {
                Some(add) => {
                    Dispatch::fused_map_conv_add(x, weight, bias, add.into_dispatch(), self)
                }
                None => Dispatch::fused_map_conv(x, weight, bias, self),
            });
        }
        let kernel = weight.dims()[2];
        let x = self.activation.apply(x);
        let (x, stride) = match self.resize {
            Resize::Keep => (x, 1),
            Resize::Halve => (x, 2),
            Resize::Double { height, width } => (doubled(x, [height, width]), 1),
        };
        let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], 1);
        let y = module::conv2d(x, weight, Some(bias), options);
        match add {
            Some(add) => y + add,
            None => y,
        }
    }
}

/// Repeats every position twice in each direction, and crops.
fn doubled(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [rows, channels, h, w] = x.dims();
    x.reshape([rows * channels, h, 1, w, 1])
        .expand([rows * channels, h, 2, w, 2])
        .reshape([rows, channels, 2 * h, 2 * w])
        .narrow(2, 0, height)
        .narrow(3, 0, width)
}

/// Whether the fused convolution covers these operands.
#[cfg(feature = "flex")]
fn fits(x: [usize; 4], weight: [usize; 4], [bias]: [usize; 1], resize: Resize) -> bool {
    let [outputs, inputs, height, width] = weight;
    let kernel = height == width && (height == 3 || height == 1 && resize != Resize::Halve);
    kernel && inputs == x[1] && outputs == bias && !x.contains(&0) && outputs > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn doubling_repeats_every_position_and_crops() {
        let x = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &Device::flex());
        let values = |sides| doubled(x.clone(), sides).into_data().try_to_vec::<f32>().unwrap();
        let expected = [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4];
        assert_eq!(values([4, 4]), expected.map(|value: u8| f32::from(value)));
        assert_eq!(values([3, 3]), [1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
    }
}
