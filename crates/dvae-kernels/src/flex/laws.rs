//! Log-densities as functions of a network's outputs, including links, with their derivatives.
//!
//! The formulas are those of `dvae-distributions`, which explains each of them and has them as tensor
//! operations.

use super::density::Entry;
use super::dual::Dual;

const HALF_LN_TAU: f32 = 0.918_938_5;

/// The log-density of an entry with `N` outputs.
pub(crate) trait Formula<const N: usize>: Copy + Send + Sync {
    fn of(self, outputs: [Dual<N>; N], x: f32) -> Dual<N>;
}

/// A formula as an entry function of its outputs and, last, `x`.
#[derive(Clone, Copy)]
pub(crate) struct Outputs<F>(pub(crate) F);

macro_rules! entries {
    ($($inputs:literal of $parameters:literal: $($name:ident $place:literal),+);+) => {$(
        impl<F: Formula<$parameters>> Entry<$inputs, $parameters> for Outputs<F> {
            #[inline(always)]
            fn at(self, [$($name),+, x]: [f32; $inputs]) -> (f32, [f32; $parameters]) {
                let density = self.0.of([$(Dual::parameter($name, $place)),+], x);
                (density.value, density.slopes)
            }
        }
    )+};
}

entries! { 2 of 1: a 0; 3 of 2: a 0, b 1; 4 of 3: a 0, b 1, c 2 }

/// Each law, its settings, and its formula.
macro_rules! formulas {
    ($($law:ident { $($setting:ident),* } $n:literal: [$($name:ident),+], $x:ident => $value:expr;)+) => {$(
        #[derive(Clone, Copy)]
        pub(crate) struct $law {
            $(pub(crate) $setting: f32),*
        }

        impl Formula<$n> for $law {
            #[inline(always)]
            fn of(self, [$($name),+]: [Dual<$n>; $n], $x: f32) -> Dual<$n> {
                let Self { $($setting),* } = self;
                $value
            }
        }
    )+};
}

formulas! {
    ContinuousBernoulli {} 1: [logit], x => continuous_bernoulli(logit, x);
    Normal { min_scale } 2: [mean, raw], x => normal(mean, raw.softplus() + min_scale, x);
    Laplace { min_scale } 2: [mean, raw], x => laplace(mean, raw.softplus() + min_scale, x);
    StudentT { min_scale, min_degrees } 3: [location, raw, degrees], x =>
        student(location, raw.softplus() + min_scale, degrees.softplus() + min_degrees, x);
    Logistic { width, min_scale } 2: [location, raw], x =>
        logistic(location, raw.softplus() + min_scale, x, width);
    Poisson {} 1: [raw], x => poisson(raw, x);
    NegativeBinomial { floor } 2: [mean, raw], x => negative_binomial(mean, raw.softplus() + floor, x);
    ZeroInflated { floor } 3: [mean, raw, gate], x =>
        zero_inflated(mean, raw.softplus() + floor, gate, x);
}

/// `ln((1 − e⁻ʷ) / w)`.
#[inline(always)]
fn log_decay<const N: usize>(w: Dual<N>) -> Dual<N> {
    let near = w.at_most(0.5);
    let square = near.square();
    let series = (square * (1.0 / 181_440.0) - 1.0 / 2880.0) * square + 1.0 / 24.0;
    let far = w.at_least(0.5);
    let direct = (-(-far).exp()).ln_1p() - far.ln();
    Dual::choose(w.value < 0.5, series * square - near * 0.5, direct)
}

#[inline(always)]
fn continuous_bernoulli<const N: usize>(logit: Dual<N>, x: f32) -> Dual<N> {
    let size = logit.abs();
    logit * (x - 0.5) - size * 0.5 - log_decay(size)
}

#[inline(always)]
fn normal<const N: usize>(mean: Dual<N>, scale: Dual<N>, x: f32) -> Dual<N> {
    let standard = (mean - x) / scale;
    standard.square() * -0.5 - scale.ln() - HALF_LN_TAU
}

#[inline(always)]
fn laplace<const N: usize>(location: Dual<N>, scale: Dual<N>, x: f32) -> Dual<N> {
    -((location - x).abs() / scale) - scale.ln() - std::f32::consts::LN_2
}

#[inline(always)]
fn logistic<const N: usize>(location: Dual<N>, scale: Dual<N>, x: f32, width: f32) -> Dual<N> {
    // In this order the first difference is exact if the two are close.
    let gap = location - x;
    let below = ((-gap + 0.5 * width) / scale).log_sigmoid();
    let above = ((gap + 0.5 * width) / scale).log_sigmoid();
    let wide = scale.recip() * width;
    let inner = below + above + wide.ln() + log_decay(wide);
    let inner = Dual::choose(x < 0.5 * width, below, inner);
    Dual::choose(x > 1.0 - 0.5 * width, above, inner)
}

/// The error of Stirling's formula of `ln Γ`.
#[inline(always)]
fn stirling_error<const N: usize>(x: Dual<N>) -> Dual<N> {
    let small = x.at_most(3.0);
    let near = small.ln_gamma() - ((small - 0.5) * small.ln() - small + HALF_LN_TAU);
    let r = x.at_least(3.0).recip();
    let s = r.square();
    let series = ((s * (-1.0 / 1680.0) + 1.0 / 1260.0) * s - 1.0 / 360.0) * s;
    Dual::choose(x.value < 3.0, near, (series + 1.0 / 12.0) * r)
}

/// `x ln(x / m) + m − x`, with `ln m` beside `m`.
#[inline(always)]
fn deviance<const N: usize>(x: Dual<N>, mean: Dual<N>, log_mean: Dual<N>) -> Dual<N> {
    const TINY: f32 = 1e-15;
    let gap = x - mean;
    let share = gap / (x + mean).at_least(TINY);
    let v = share.at_least(-0.1).at_most(0.1);
    let s = v.square();
    let series = (s * (1.0 / 7.0) + 0.2) * s + 1.0 / 3.0;
    let near = gap * v + x * 2.0 * s * v * series;
    let far = x * (x.at_least(TINY).ln() - log_mean) - gap;
    Dual::choose(share.value.abs() < 0.1, near, far)
}

/// `ln ln(1 + eʳ)`.
#[inline(always)]
fn log_softplus<const N: usize>(raw: Dual<N>) -> Dual<N> {
    Dual::choose(raw.value < -15.0, raw, raw.at_least(-15.0).softplus().ln())
}

/// `−ln x! + x ln x − x`; 0 at 0.
#[inline(always)]
fn log_base<const N: usize>(x: f32) -> Dual<N> {
    let positive = Dual::<0>::constant(if x < 1.0 { 1.0 } else { x });
    let value = -(stirling_error(positive) + positive.ln() * 0.5 + HALF_LN_TAU).value;
    Dual::constant(if x < 0.5 { 0.0 } else { value })
}

#[inline(always)]
fn poisson<const N: usize>(raw: Dual<N>, x: f32) -> Dual<N> {
    log_base(x) - deviance(Dual::constant(x), raw.softplus(), log_softplus(raw))
}

#[inline(always)]
fn negative_binomial<const N: usize>(raw_mean: Dual<N>, theta: Dual<N>, x: f32) -> Dual<N> {
    let mean = raw_mean.softplus();
    let (both, total) = (theta + x, theta + mean);
    let (log_both, log_theta) = (both.ln(), theta.ln());
    let (ratio, per_unit) = (both / total, log_both - total.ln());
    let of_x = deviance(Dual::constant(x), ratio * mean, per_unit + log_softplus(raw_mean));
    let of_theta = deviance(theta, ratio * theta, per_unit + log_theta);
    let errors = stirling_error(both) - stirling_error(theta);
    log_base(x) + errors + (log_theta - log_both) * 0.5 - of_x - of_theta
}

#[inline(always)]
fn zero_inflated<const N: usize>(
    raw_mean: Dual<N>,
    theta: Dual<N>,
    gate: Dual<N>,
    x: f32,
) -> Dual<N> {
    let counted = (-gate).log_sigmoid() + negative_binomial(raw_mean, theta, x);
    let inflated = gate.log_sigmoid();
    // ln(eᵃ + eᵇ) from the larger of the two.
    let first = inflated.value > counted.value;
    let larger = Dual::choose(first, inflated, counted);
    let smaller = Dual::choose(first, counted, inflated);
    Dual::choose(x < 0.5, larger + (smaller - larger).exp().ln_1p(), counted)
}

#[inline(always)]
fn student<const N: usize>(location: Dual<N>, scale: Dual<N>, degrees: Dual<N>, x: f32) -> Dual<N> {
    let half = degrees * 0.5;
    let gammas =
        half * degrees.recip().ln_1p() - 0.5 + stirling_error(half + 0.5) - stirling_error(half);
    let t = (location - x) / scale;
    let tail = (half + 0.5) * (t.square() / degrees).ln_1p();
    gammas - HALF_LN_TAU - scale.ln() - tail
}
