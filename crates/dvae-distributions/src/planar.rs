//! Planar flows.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;

use crate::flow::{Carried, Flow};

/// A planar map, with parameters of each row's own.
///
/// ```text
/// f(z) = z + û tanh(wᵀz + b),   ln det = ln(1 + (1 − tanh²(wᵀz + b)) wᵀû)
/// û = u + (m − wᵀu) w/‖w‖²,   m = ln(1 + e^{wᵀu}) − 1 = wᵀû
/// ```
///
/// Rezende & Mohamed (2015), section 4.1, and appendix A.1 for `û`, which keeps `wᵀû > −1` and thereby the
/// map invertible. There is no formula for the inverse.
#[derive(Clone, Debug)]
pub struct Planar {
    u: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<2>,
}

impl Planar {
    /// From `u` and `w` `[batch, latent]` and `b` `[batch, 1]`.
    pub fn new(u: Tensor<2>, w: Tensor<2>, b: Tensor<2>) -> Self {
        Self { u, w, b }
    }
}

impl Flow for Planar {
    fn forward(&self, z: Tensor<2>) -> Carried {
        let dot = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() * b.clone()).sum_dim(1);
        let along = dot(&self.w, &self.u);
        let m = softplus(along.clone(), 1.0) - 1.0;
        let length = self.w.clone().square().sum_dim(1) + 1e-12;
        let u = self.u.clone() + self.w.clone() * ((m.clone() - along) / length);
        let bent = (dot(&self.w, &z) + self.b.clone()).tanh();
        let slope = bent.clone().square().neg() + 1.0;
        // Above 0 by the choice of m, but for rounding.
        let determinant = (slope * m + 1.0).clamp_min(1e-7);
        let log_determinant = determinant.log().squeeze_dim(1);
        Carried { point: z + u * bent, log_determinant }
    }
}

/// Maps one after another.
#[derive(Debug)]
pub struct Chain<F>(pub Vec<F>);

impl<F: Flow> Flow for Chain<F> {
    fn forward(&self, z: Tensor<2>) -> Carried {
        let start =
            Carried { log_determinant: Tensor::zeros([z.dims()[0]], &z.device()), point: z };
        self.0.iter().fold(start, |before, map| {
            let Carried { point, log_determinant } = map.forward(before.point);
            Carried { point, log_determinant: before.log_determinant + log_determinant }
        })
    }
}
