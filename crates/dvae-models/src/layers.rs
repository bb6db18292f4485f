//! Layers with bias and activation, their weights drawn from a key on the host.

use burn::module::{Module, Param};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, TensorData};
use dvae_random::Key;

use crate::Activation;

/// `act(x W + b)`.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    pub(crate) weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl Dense {
    /// `[rows, inputs]` → `[rows, outputs]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::linear(x, self.weight.val(), self.bias.val(), fused))
    }
}

/// A convolution of kernel 3 and padding 1: sides stay at stride 1, and are halved upwards at stride 2.
#[derive(Module, Debug)]
pub(crate) struct Conv {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    activation: Activation,
}

impl Conv {
    const KERNEL: usize = 3;

    /// `[b, inputs, h, w]` → `[b, outputs, ⌈h / stride⌉, ⌈w / stride⌉]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], [1, 1], [1, 1], 1);
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::conv2d(x, self.weight.val(), self.bias.val(), options, fused))
    }
}

/// A transposed convolution of kernel 4, stride 2 and padding 1: sides are doubled.
#[derive(Module, Debug)]
pub(crate) struct Double {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl Double {
    const KERNEL: usize = 4;

    /// `[b, inputs, h, w]` → `[b, outputs, 2h, 2w]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::conv_transpose2d(x, self.weight.val(), self.bias.val(), options, fused))
    }
}

/// Group normalization: Wu and He (2018), "Group Normalization", section 3.
///
/// Burn's own layer refuses inputs of fewer than three numbers, which small images come down to.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    /// Nothing where there is but one number, which stays.
    #[module(skip)]
    groups: Option<usize>,
}

impl Norm {
    const EPSILON: f64 = 1e-5;

    /// `[b, channels, h, w]`, each group of channels of each row to mean 0 and variance 1, then scaled and
    /// shifted by channel.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [rows, channels, height, width] = x.dims();
        let Some(groups) = self.groups else { return x };
        let grouped = x.reshape([rows, groups, channels / groups * height * width]);
        let centered = grouped.clone() - grouped.mean_dim(2);
        let variance = centered.clone().square().mean_dim(2);
        let normal =
            (centered / (variance + Self::EPSILON).sqrt()).reshape([rows, channels, height, width]);
        let by_channel = |values: &Param<Tensor<1>>| values.val().reshape([1, channels, 1, 1]);
        normal * by_channel(&self.scale) + by_channel(&self.shift)
    }
}

/// Makes the layers of one network, in order: each weight has a stream of its own.
///
/// Weights are uniform on `±√(6 / (fan in + fan out))`, biases 0: Glorot and Bengio (2010),
/// "Understanding the difficulty of training deep feedforward neural networks", equation 16. For
/// convolutions a fan counts the connections of one unit, kernel positions over stride.
pub(crate) struct Layers<'a> {
    key: Key,
    device: &'a Device,
    next: u64,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(key: Key, device: &'a Device) -> Self {
        Self { key, device, next: 0 }
    }

    pub(crate) fn device(&self) -> &Device {
        self.device
    }

    pub(crate) fn dense(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Dense {
        let weight = self.weight([inputs, outputs], inputs, outputs);
        Dense { weight, bias: self.zeros(outputs), activation }
    }

    /// One whose weights begin a tenth as large: what it decides begins near what it is added to.
    pub(crate) fn gentle(&mut self, inputs: usize, outputs: usize) -> Dense {
        let weight = self.gentle_weight([inputs, outputs]);
        Dense { weight, bias: self.zeros(outputs), activation: Activation::Identity }
    }

    pub(crate) fn gentle_weight(&mut self, [inputs, outputs]: [usize; 2]) -> Param<Tensor<2>> {
        let limit = 0.1 * (6.0 / (inputs + outputs) as f64).sqrt() as f32;
        self.uniform([inputs, outputs], [-limit, limit])
    }

    /// A convolution that halves sides.
    pub(crate) fn halve(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Conv {
        self.conv(inputs, outputs, 2, activation)
    }

    /// A convolution that keeps sides.
    pub(crate) fn keep(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Conv {
        self.conv(inputs, outputs, 1, activation)
    }

    fn conv(
        &mut self,
        inputs: usize,
        outputs: usize,
        stride: usize,
        activation: Activation,
    ) -> Conv {
        let side = Conv::KERNEL;
        let (fan_in, fan_out) = (inputs * side * side, outputs * side * side / stride.pow(2));
        let weight = self.weight([outputs, inputs, side, side], fan_in, fan_out);
        Conv { weight, bias: self.zeros(outputs), stride, activation }
    }

    /// A normalization over at most `groups` groups of channels of `area` pixels: as many as divide the
    /// number of channels and have eight numbers each, or one. Of two numbers hardly more than which is
    /// the larger would be left.
    pub(crate) fn norm(&self, channels: usize, groups: usize, area: usize) -> Norm {
        let possible = |&n: &usize| channels.is_multiple_of(n) && channels / n * area >= 8;
        let groups = (2..=groups.min(channels)).rev().find(possible).unwrap_or(1);
        let groups = (channels * area > 1).then_some(groups);
        let scale = Param::from_tensor(Tensor::ones([channels], self.device));
        Norm { scale, shift: self.zeros(channels), groups }
    }

    pub(crate) fn double(
        &mut self,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Double {
        let side = Double::KERNEL;
        let (fan_in, fan_out) = (inputs * side * side / 4, outputs * side * side);
        let weight = self.weight([inputs, outputs, side, side], fan_in, fan_out);
        Double { weight, bias: self.zeros(outputs), activation }
    }

    pub(crate) fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
        fan_out: usize,
    ) -> Param<Tensor<D>> {
        let limit = (6.0 / (fan_in + fan_out) as f64).sqrt() as f32;
        self.uniform(shape, [-limit, limit])
    }

    /// A weight of its own stream, uniform between two ends.
    pub(crate) fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        [low, high]: [f32; 2],
    ) -> Param<Tensor<D>> {
        let (middle, half) = ((high + low) / 2.0, (high - low) / 2.0);
        let mut draws = self.key.rows(&[self.next]);
        self.next += 1;
        let weights: Vec<f32> = draws
            .uniform_host(shape.iter().product())
            .into_iter()
            .map(|u| middle + (u * 2.0 - 1.0) * half)
            .collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(weights, shape), self.device))
    }

    pub(crate) fn zeros(&self, n: usize) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::zeros([n], self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fill_the_interval_of_glorot_and_bengio() {
        let device = Device::flex();
        let dense = Layers::new(Key::new(1), &device).dense(300, 200, Activation::Identity);
        let weight = dense.weight.val();
        let limit = (6.0f32 / 500.0).sqrt();
        let largest = weight.clone().abs().max().into_scalar::<f32>();
        assert!(largest <= limit && largest > 0.999 * limit, "{largest} of {limit}");
        // A uniform on ±a has variance a²/3; the mean of n squares deviates by √(4/45 / n) a².
        let variance = weight.square().mean().into_scalar::<f32>() / limit.powi(2);
        assert!((variance - 1.0 / 3.0).abs() < 6.0 * (4.0f32 / 45.0 / 60_000.0).sqrt());
    }

    // Two groups of one row: (1, 3) and (2, 2) have means 2 and 2, deviations 1 and 0.
    #[test]
    fn a_norm_takes_each_group_of_each_row_to_mean_0_and_variance_1() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0]], [[3.0]], [[2.0]], [[2.0]]]], &device);
        let norm = Layers::new(Key::new(1), &device).norm(4, 3, 4);
        assert_eq!(norm.groups, Some(2));
        let values: Vec<f32> = norm.forward(x).into_data().try_to_vec().unwrap();
        for (got, expected) in values.iter().zip([-1.0, 1.0, 0.0, 0.0]) {
            assert!((got - expected).abs() < 1e-4, "{values:?}");
        }
        let groups = |channels, groups, area| {
            Layers::new(Key::new(1), &device).norm(channels, groups, area).groups
        };
        assert_eq!(
            [groups(7, 4, 9), groups(8, 8, 1), groups(8, 8, 4)],
            [Some(1), Some(1), Some(4)]
        );
        assert_eq!(groups(1, 8, 1), None);
    }

    #[test]
    fn the_same_key_gives_the_same_layer_and_every_layer_is_its_own() {
        let device = Device::flex();
        let mut first = Layers::new(Key::new(1), &device);
        let mut again = Layers::new(Key::new(1), &device);
        let data =
            |layers: &mut Layers| layers.dense(5, 5, Activation::Identity).weight.val().into_data();
        let one = data(&mut first);
        assert_eq!(one, data(&mut again));
        assert_ne!(one, data(&mut again));
    }
}
