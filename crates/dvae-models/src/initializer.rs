//! Initial weights, drawn from a key on the host, so that one seed gives one network on every back end.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use dvae_random::Key;

use crate::Activation;
use crate::layers::{Conv2d, ConvTranspose2d, GroupNorm, Linear};

/// Builds the layers of one model, in order; each weight has its own random stream.
///
/// ```
/// use burn::tensor::Device;
/// use dvae_models::{Activation, Initializer};
/// use dvae_random::{Key, Purpose};
///
/// let device = Device::flex();
/// let mut init = Initializer::new(Key::new(1).purpose(Purpose::Weights), &device);
/// let (hidden, last) = (init.linear(784, 400, Activation::Relu), init.linear(400, 20, Activation::Identity));
/// # let _ = (hidden, last);
/// ```
///
/// Weights are uniform on `±√(6 / (fan in + fan out))`, a tenth of that where a layer says small, and biases 0 but for
/// the log-variances of levels below the top: Glorot and Bengio (2010),
/// "Understanding the difficulty of training deep feedforward neural networks", equation 16. For
/// convolutions a fan counts the connections of one unit, kernel positions over stride.
#[derive(Debug)]
pub struct Initializer<'a> {
    key: Key,
    device: &'a Device,
    next: u64,
    /// How many weights are still allowed.
    room: Option<usize>,
}

impl<'a> Initializer<'a> {
    /// Draws weights from the streams of `key` and places them on this device.
    pub fn new(key: Key, device: &'a Device) -> Self {
        Self { key, device, next: 0, room: Some(usize::MAX) }
    }

    /// The same for at most so many weights. Once they are used up, weights are empty, and [`Self::has_room`] is `false`.
    pub fn within(self, most: usize) -> Self {
        Self { room: Some(most), ..self }
    }

    /// Whether no more weights were asked for than are allowed.
    pub fn has_room(&self) -> bool {
        self.room.is_some()
    }

    /// The shape, or an empty one if there is no room for it.
    fn fitting<const D: usize>(&mut self, shape: [usize; D]) -> [usize; D] {
        let numbers = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        let left = |room: usize| room.checked_sub(numbers?);
        self.room = self.room.and_then(left);
        if self.room.is_some() { shape } else { [0; D] }
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// A fully connected layer.
    pub fn linear(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Linear {
        let weight = self.xavier_uniform([inputs, outputs], inputs, outputs);
        Linear { weight, bias: self.zeros(outputs), activation }
    }

    /// A fully connected layer with a gain of 0.1, so that its contribution to a sum starts small.
    pub fn small_linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let weight = self.small_weight([inputs, outputs]);
        Linear { weight, bias: self.zeros(outputs), activation: Activation::Identity }
    }

    /// The weight of [`Initializer::small_linear`].
    pub fn small_weight(&mut self, [inputs, outputs]: [usize; 2]) -> Param<Tensor<2>> {
        let limit = 0.1 * (6.0 / (inputs + outputs) as f64).sqrt() as f32;
        self.uniform([inputs, outputs], [-limit, limit])
    }

    /// A convolution that halves sides.
    pub fn downsampling_conv(
        &mut self,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Conv2d {
        self.strided(inputs, outputs, 2, activation)
    }

    /// A convolution that keeps sides.
    pub fn conv(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Conv2d {
        self.strided(inputs, outputs, 1, activation)
    }

    /// A convolution that keeps sides, with a gain of 0.1, so that its contribution to a sum starts small.
    pub fn small_conv(&mut self, inputs: usize, outputs: usize) -> Conv2d {
        let side = Conv2d::KERNEL;
        let limit = 0.1 * (6.0 / ((inputs + outputs) * side * side) as f64).sqrt() as f32;
        let weight = self.uniform([outputs, inputs, side, side], [-limit, limit]);
        let activation = Activation::Identity;
        Conv2d { weight, bias: self.zeros(outputs), stride: 1, activation }
    }

    /// A convolution of kernel 1: a linear map at each position.
    pub fn pointwise_conv(&mut self, inputs: usize, outputs: usize) -> Conv2d {
        let weight = self.xavier_uniform([outputs, inputs, 1, 1], inputs, outputs);
        Conv2d { weight, bias: self.zeros(outputs), stride: 1, activation: Activation::Identity }
    }

    fn strided(
        &mut self,
        inputs: usize,
        outputs: usize,
        stride: usize,
        activation: Activation,
    ) -> Conv2d {
        let side = Conv2d::KERNEL;
        let (fan_in, fan_out) = (inputs * side * side, outputs * side * side / stride.pow(2));
        let weight = self.xavier_uniform([outputs, inputs, side, side], fan_in, fan_out);
        Conv2d { weight, bias: self.zeros(outputs), stride, activation }
    }

    /// A group normalization for `channels` channels of `area` pixels, with at most `groups` groups: as many
    /// as divide the number of channels and leave at least eight numbers in each group, or else one. A
    /// normalized group of two numbers would tell little more than which one is larger.
    pub fn group_norm(&mut self, channels: usize, groups: usize, area: usize) -> GroupNorm {
        let possible = |&n: &usize| channels.is_multiple_of(n) && channels / n * area >= 8;
        let groups = (2..=groups.min(channels)).rev().find(possible).unwrap_or(1);
        let groups = (channels * area > 1).then_some(groups);
        let scale = Param::from_tensor(Tensor::ones(self.fitting([channels]), self.device));
        GroupNorm { scale, shift: self.zeros(channels), groups }
    }

    /// A transposed convolution that doubles sides.
    pub fn conv_transpose(
        &mut self,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> ConvTranspose2d {
        let side = ConvTranspose2d::KERNEL;
        let (fan_in, fan_out) = (inputs * side * side / 4, outputs * side * side);
        let weight = self.xavier_uniform([inputs, outputs, side, side], fan_in, fan_out);
        ConvTranspose2d { weight, bias: self.zeros(outputs), activation }
    }

    /// A weight with the uniform distribution that its fans give.
    pub fn xavier_uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
        fan_out: usize,
    ) -> Param<Tensor<D>> {
        let limit = (6.0 / (fan_in + fan_out) as f64).sqrt() as f32;
        self.uniform(shape, [-limit, limit])
    }

    /// A weight from its own stream, uniform between two ends.
    pub fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        [low, high]: [f32; 2],
    ) -> Param<Tensor<D>> {
        let (middle, half) = ((high + low) / 2.0, (high - low) / 2.0);
        let shape = self.fitting(shape);
        let mut draws = self.key.rows(&[self.next]);
        self.next += 1;
        let weights: Vec<f32> = draws
            .uniform_host(shape.iter().product())
            .into_iter()
            .map(|u| middle + (u * 2.0 - 1.0) * half)
            .collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(weights, shape), self.device))
    }

    /// A bias of zeros.
    pub fn zeros(&mut self, n: usize) -> Param<Tensor<1>> {
        self.filled(n, 0.0)
    }

    /// A bias of one number.
    pub(crate) fn filled(&mut self, n: usize, value: f32) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::full(self.fitting([n]), value, self.device))
    }

    /// A weight of given numbers.
    pub(crate) fn given(&mut self, n: usize, entry: impl Fn(usize) -> f32) -> Param<Tensor<1>> {
        let [n] = self.fitting([n]);
        let values: Vec<f32> = (0..n).map(entry).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, [n]), self.device))
    }

    /// Numbers that are no weights: those at each row and column.
    pub(crate) fn constant(
        &self,
        [rows, columns]: [usize; 2],
        entry: impl Fn(usize, usize) -> f32,
    ) -> Tensor<2> {
        // A constant is not larger than a weight of the model.
        let shape = if self.has_room() { [rows, columns] } else { [0, columns] };
        let values: Vec<f32> =
            (0..shape[0] * columns).map(|i| entry(i / columns, i % columns)).collect();
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fill_the_interval_of_glorot_and_bengio() {
        let device = Device::flex();
        let dense = Initializer::new(Key::new(1), &device).linear(300, 200, Activation::Identity);
        let weight = dense.weight.val();
        let limit = (6.0f32 / 500.0).sqrt();
        let largest = weight.clone().abs().max().into_scalar::<f32>();
        assert!(largest <= limit && largest > 0.999 * limit, "{largest} of {limit}");
        // A uniform distribution on ±a has variance a²/3; the mean of n squares deviates by √(4/45 / n) a².
        let variance = weight.square().mean().into_scalar::<f32>() / limit.powi(2);
        assert!((variance - 1.0 / 3.0).abs() < 6.0 * (4.0f32 / 45.0 / 60_000.0).sqrt());
    }

    // Two groups of one row: (1, 3) and (2, 2) have means 2 and 2, deviations 1 and 0.
    #[test]
    fn a_norm_takes_each_group_of_each_row_to_mean_0_and_variance_1() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0]], [[3.0]], [[2.0]], [[2.0]]]], &device);
        let norm = Initializer::new(Key::new(1), &device).group_norm(4, 3, 4);
        assert_eq!(norm.groups, Some(2));
        let values: Vec<f32> = norm.forward(x).into_data().try_to_vec().unwrap();
        for (got, expected) in values.iter().zip([-1.0, 1.0, 0.0, 0.0]) {
            assert!((got - expected).abs() < 1e-4, "{values:?}");
        }
        let groups = |channels, groups, area| {
            Initializer::new(Key::new(1), &device).group_norm(channels, groups, area).groups
        };
        assert_eq!(
            [groups(7, 4, 9), groups(8, 8, 1), groups(8, 8, 4)],
            [Some(1), Some(1), Some(4)]
        );
        assert_eq!(groups(1, 8, 1), None);
    }

    #[test]
    fn weights_beyond_the_room_are_not_drawn() {
        let device = Device::flex();
        let mut init = Initializer::new(Key::new(1), &device).within(30);
        let linear = init.linear(5, 5, Activation::Identity);
        assert!(init.has_room() && linear.weight.dims() == [5, 5]);
        let huge = init.linear(1 << 40, 2, Activation::Identity);
        assert!(!init.has_room() && huge.weight.dims() == [0, 0] && huge.bias.dims() == [0]);
    }

    #[test]
    fn the_same_key_gives_the_same_layer_and_every_layer_is_its_own() {
        let device = Device::flex();
        let mut first = Initializer::new(Key::new(1), &device);
        let mut again = Initializer::new(Key::new(1), &device);
        let data = |layers: &mut Initializer| {
            layers.linear(5, 5, Activation::Identity).weight.val().into_data()
        };
        let one = data(&mut first);
        assert_eq!(one, data(&mut again));
        assert_ne!(one, data(&mut again));
    }
}
