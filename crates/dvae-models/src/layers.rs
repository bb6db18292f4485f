//! Burn's layers, with weights drawn from a key on the host.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use dvae_random::Key;

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

/// Kernel side, stride and padding of the convolutions: even sides are halved.
const CONV: (usize, usize, usize) = (3, 2, 1);
/// Kernel side, stride and padding of the transposed convolutions: sides are doubled.
const TRANSPOSED: (usize, usize, usize) = (4, 2, 1);

impl<'a> Layers<'a> {
    pub(crate) fn new(key: Key, device: &'a Device) -> Self {
        Self { key, device, next: 0 }
    }

    pub(crate) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let weight = self.weight([inputs, outputs], inputs, outputs);
        Linear { weight, bias: Some(self.zeros(outputs)) }
    }

    /// `[b, inputs, h, w]` → `[b, outputs, ⌈h/2⌉, ⌈w/2⌉]`.
    pub(crate) fn halve(&mut self, inputs: usize, outputs: usize) -> Conv2d {
        let (side, stride, pad) = CONV;
        let (area, reuse) = (side * side, stride * stride);
        let weight =
            self.weight([outputs, inputs, side, side], inputs * area, outputs * area / reuse);
        let layer = Conv2dConfig::new([inputs, outputs], [side, side])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(self.device);
        Conv2d { weight, bias: Some(self.zeros(outputs)), ..layer }
    }

    /// `[b, inputs, h, w]` → `[b, outputs, 2h, 2w]`.
    pub(crate) fn double(&mut self, inputs: usize, outputs: usize) -> ConvTranspose2d {
        let (side, stride, pad) = TRANSPOSED;
        let (area, reuse) = (side * side, stride * stride);
        let weight =
            self.weight([inputs, outputs, side, side], inputs * area / reuse, outputs * area);
        let layer = ConvTranspose2dConfig::new([inputs, outputs], [side, side])
            .with_stride([stride, stride])
            .with_padding([pad, pad])
            .init(self.device);
        ConvTranspose2d { weight, bias: Some(self.zeros(outputs)), ..layer }
    }

    fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
        fan_out: usize,
    ) -> Param<Tensor<D>> {
        let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
        let mut draws = self.key.rows(&[self.next]);
        self.next += 1;
        let uniform: Tensor<2> = draws.uniform([1, shape.iter().product()], self.device);
        Param::from_tensor(((uniform * 2.0 - 1.0) * limit).reshape(shape).detach())
    }

    fn zeros(&self, n: usize) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::zeros([n], self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fill_the_interval_of_glorot_and_bengio() {
        let device = Device::flex();
        let linear = Layers::new(Key::new(1), &device).linear(300, 200);
        let weight = linear.weight.val();
        let limit = (6.0f32 / 500.0).sqrt();
        let largest = weight.clone().abs().max().into_scalar::<f32>();
        assert!(largest <= limit && largest > 0.999 * limit, "{largest} of {limit}");
        // A uniform on ±a has variance a²/3; the mean of n squares deviates by √(4/45 / n) a².
        let variance = weight.square().mean().into_scalar::<f32>() / limit.powi(2);
        assert!((variance - 1.0 / 3.0).abs() < 6.0 * (4.0f32 / 45.0 / 60_000.0).sqrt());
    }

    #[test]
    fn the_same_key_gives_the_same_layer_and_every_layer_is_its_own() {
        let device = Device::flex();
        let mut first = Layers::new(Key::new(1), &device);
        let mut again = Layers::new(Key::new(1), &device);
        let data = |linear: Linear| linear.weight.val().into_data();
        let one = data(first.linear(5, 5));
        assert_eq!(one, data(again.linear(5, 5)));
        assert_ne!(one, data(again.linear(5, 5)));
    }
}
