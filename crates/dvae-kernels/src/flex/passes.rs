//! The passes: functions of entries, mixtures, and sums over classes.

use pulp::{Simd, WithSimd};

use super::pass::{LANES, Lanes, Pass, Row, Task, load, of_row, of_row_mut, store};
use super::simd::dispatch;
use crate::Formula;
use crate::math::{exp, ln};

/// A formula of each entry.
#[derive(Clone, Debug)]
pub(crate) struct Entrywise<F, const P: usize, const C: usize>(pub(crate) F);

impl<F: Formula<P, C>, const P: usize, const C: usize> Pass for Entrywise<F, P, C> {
    fn parameters(&self) -> usize {
        P
    }

    fn constants(&self) -> usize {
        C
    }

    fn run(&self, task: Task<'_>) {
        dispatch(OfEntries::<F, P, C> { formula: &self.0, task });
    }
}

struct OfEntries<'a, F, const P: usize, const C: usize> {
    formula: &'a F,
    task: Task<'a>,
}

impl<F: Formula<P, C>, const P: usize, const C: usize> WithSimd for OfEntries<'_, F, P, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Task { features, parameters, constants, weights, mut values, mut slopes } = self.task;
        let rows = values.rows(features);
        // A copy outside the loops: loads of `f64` settings within them would halve the width of their vectors, and
        // what depends on settings alone is computed once.
        let formula = *self.formula;
        for row in 0..rows {
            let mut each = parameters
                .iter()
                .flat_map(|all| of_row(all, row, all.len() / rows).chunks_exact(features));
            let parameters = std::array::from_fn(|_| each.next().unwrap_or_default());
            let mut each = slopes.iter_mut().flat_map(|all| {
                let width = all.len() / rows;
                of_row_mut(all, row, width).chunks_exact_mut(features)
            });
            let slopes = std::array::from_fn(|_| each.next().unwrap_or_default());
            let entries = EntryRow::<'_, F, P, C> {
                formula,
                parameters,
                constants: std::array::from_fn(|i| of_row(constants[i], row, features)),
                weights: weights.map(|all| of_row(all, row, features)),
                slopes,
            };
            values.fill(row, features, entries);
        }
    }
}

struct EntryRow<'a, F, const P: usize, const C: usize> {
    formula: F,
    parameters: [&'a [f32]; P],
    constants: [&'a [f32]; C],
    weights: Option<&'a [f32]>,
    /// Empty if they are not wanted.
    slopes: [&'a mut [f32]; P],
}

impl<F: Formula<P, C>, const P: usize, const C: usize> Row for EntryRow<'_, F, P, C> {
    #[inline(always)]
    fn block(&mut self, first: usize, len: usize) -> Lanes {
        let (mut p, mut c) = ([[0.0f32; LANES]; P], [[0.0f32; LANES]; C]);
        for (lanes, parameter) in p.iter_mut().zip(&self.parameters) {
            *lanes = load(parameter, first, len);
        }
        for (lanes, constant) in c.iter_mut().zip(&self.constants) {
            *lanes = load(constant, first, len);
        }
        let formula = self.formula;
        let (mut out, mut slopes) = ([0.0f32; LANES], [[0.0f32; LANES]; P]);
        for lane in 0..LANES {
            let (value, slope) = formula.with_slopes(lane_of(&p, lane), lane_of(&c, lane));
            out[lane] = value;
            for n in 0..P {
                slopes[n][lane] = slope[n];
            }
        }
        if let Some(weights) = self.weights {
            let weights = load(weights, first, len);
            for lane in 0..LANES {
                out[lane] *= weights[lane];
                for slopes in &mut slopes {
                    slopes[lane] *= weights[lane];
                }
            }
        }
        for (all, slopes) in self.slopes.iter_mut().zip(&slopes) {
            if !all.is_empty() {
                store(all, first, len, slopes);
            }
        }
        out
    }
}

/// A mixture, whose parameters are the logits of all components, then their first parameters, and so on.
#[derive(Clone, Debug)]
pub(crate) struct Components<F, const P: usize> {
    pub(crate) component: F,
    pub(crate) components: usize,
}

impl<F: Formula<P, 1>, const P: usize> Pass for Components<F, P> {
    fn parameters(&self) -> usize {
        (1 + P) * self.components
    }

    fn constants(&self) -> usize {
        1
    }

    fn run(&self, task: Task<'_>) {
        dispatch(OfComponents::<F, P> { mixture: self, task });
    }
}

struct OfComponents<'a, F, const P: usize> {
    mixture: &'a Components<F, P>,
    task: Task<'a>,
}

impl<F: Formula<P, 1>, const P: usize> WithSimd for OfComponents<'_, F, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Task { features, parameters, constants, weights, mut values, mut slopes } = self.task;
        let width = self.mixture.parameters() * features;
        let mut kept = vec![Component::<P>::default(); self.mixture.components];
        let component = self.mixture.component; // A copy, as in `OfEntries`.
        for row in 0..values.rows(features) {
            let entries = MixtureRow::<'_, F, P> {
                component,
                features,
                parameters: of_row(parameters[0], row, width),
                x: of_row(constants[0], row, features),
                weights: weights.map(|all| of_row(all, row, features)),
                slopes: slopes.first_mut().map(|all| of_row_mut(all, row, width)),
                kept: &mut kept,
            };
            values.fill(row, features, entries);
        }
    }
}

/// What is kept of a component while a block is summed.
#[derive(Clone, Copy)]
struct Component<const P: usize> {
    /// Its logit relative to the largest, and with its log-density; then their exponentials.
    logit: Lanes,
    joint: Lanes,
    /// The derivatives of its log-density.
    slopes: [Lanes; P],
}

impl<const P: usize> Default for Component<P> {
    fn default() -> Self {
        Self { logit: [0.0; LANES], joint: [0.0; LANES], slopes: [[0.0; LANES]; P] }
    }
}

struct MixtureRow<'a, F, const P: usize> {
    component: F,
    features: usize,
    parameters: &'a [f32],
    x: &'a [f32],
    weights: Option<&'a [f32]>,
    slopes: Option<&'a mut [f32]>,
    kept: &'a mut [Component<P>],
}

impl<F: Formula<P, 1>, const P: usize> MixtureRow<'_, F, P> {
    /// Evaluates all components, and gives the largest joint density.
    #[inline(always)]
    fn evaluate(&mut self, first: usize, len: usize) -> Lanes {
        let (x, components) = (load(self.x, first, len), self.kept.len());
        let component = self.component;
        // Logits may be far larger than densities: only their differences are added.
        let mut largest = [[f32::NEG_INFINITY; LANES]; 2];
        for (k, kept) in self.kept.iter_mut().enumerate() {
            kept.logit = load(self.parameters, k * self.features + first, len);
            raise(&mut largest[0], &kept.logit);
        }
        for (k, kept) in self.kept.iter_mut().enumerate() {
            let mut p = [[0.0f32; LANES]; P];
            for (i, p) in p.iter_mut().enumerate() {
                let place = (1 + i) * components + k;
                *p = load(self.parameters, place * self.features + first, len);
            }
            for lane in 0..LANES {
                let (value, slope) = component.with_slopes(lane_of(&p, lane), [x[lane]]);
                kept.logit[lane] -= largest[0][lane];
                kept.joint[lane] = kept.logit[lane] + value;
                #[allow(clippy::needless_range_loop)] // Unrolled early enough to be vectorized.
                for n in 0..P {
                    kept.slopes[n][lane] = slope[n];
                }
            }
            raise(&mut largest[1], &kept.joint);
        }
        largest[1]
    }
}

impl<F: Formula<P, 1>, const P: usize> Row for MixtureRow<'_, F, P> {
    #[inline(always)]
    fn block(&mut self, first: usize, len: usize) -> Lanes {
        let largest = self.evaluate(first, len);
        let mut sums = [[0.0f32; LANES]; 2];
        for kept in self.kept.iter_mut() {
            add_exp(&mut sums[0], &mut kept.logit, &[0.0; LANES]);
            add_exp(&mut sums[1], &mut kept.joint, &largest);
        }
        let weights = self.weights.map_or([1.0; LANES], |weights| load(weights, first, len));
        let (mut out, mut factors) = ([0.0f32; LANES], [[0.0f32; LANES]; 2]);
        for lane in 0..LANES {
            let joint = largest[lane] + ln(sums[1][lane]);
            out[lane] = (joint - ln(sums[0][lane])) * weights[lane];
            factors[0][lane] = weights[lane] / sums[0][lane];
            factors[1][lane] = weights[lane] / sums[1][lane];
        }
        let (features, components) = (self.features, self.kept.len());
        let Some(slopes) = &mut self.slopes else { return out };
        for (k, kept) in self.kept.iter_mut().enumerate() {
            let mut of_logit = [0.0f32; LANES];
            for lane in 0..LANES {
                let share = kept.joint[lane] * factors[1][lane];
                of_logit[lane] = share - kept.logit[lane] * factors[0][lane];
                for slopes in &mut kept.slopes {
                    slopes[lane] *= share;
                }
            }
            store(slopes, k * features + first, len, &of_logit);
            for (i, slope) in kept.slopes.iter().enumerate() {
                store(slopes, ((1 + i) * components + k) * features + first, len, slope);
            }
        }
        out
    }
}

/// `ln Σₖ e^{lₖ}` over this many classes, or, given a class for each entry, the logit of that class minus it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classes {
    pub(crate) classes: usize,
    /// Whether a class is given.
    pub(crate) given: bool,
}

impl Pass for Classes {
    fn parameters(&self) -> usize {
        self.classes
    }

    fn constants(&self) -> usize {
        usize::from(self.given)
    }

    fn run(&self, task: Task<'_>) {
        dispatch(OfClasses { classes: self.classes, task });
    }
}

struct OfClasses<'a> {
    classes: usize,
    task: Task<'a>,
}

impl WithSimd for OfClasses<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Task { features, parameters, constants, weights, mut values, mut slopes } = self.task;
        let width = self.classes * features;
        let mut kept = vec![[0.0f32; LANES]; self.classes];
        for row in 0..values.rows(features) {
            let entries = ClassRow {
                features,
                logits: of_row(parameters[0], row, width),
                given: constants.first().map(|all| of_row(all, row, features)),
                weights: weights.map(|all| of_row(all, row, features)),
                slopes: slopes.first_mut().map(|all| of_row_mut(all, row, width)),
                kept: &mut kept,
            };
            values.fill(row, features, entries);
        }
    }
}

struct ClassRow<'a> {
    features: usize,
    logits: &'a [f32],
    given: Option<&'a [f32]>,
    weights: Option<&'a [f32]>,
    slopes: Option<&'a mut [f32]>,
    /// The exponentials of the classes' logits relative to the largest.
    kept: &'a mut [Lanes],
}

impl Row for ClassRow<'_> {
    #[inline(always)]
    fn block(&mut self, first: usize, len: usize) -> Lanes {
        let features = self.features;
        // Without a given class, one that no class is. Else the class below, and the first one for NaN.
        let mut class = [-1.0f32; LANES];
        if let Some(given) = self.given {
            class = load(given, first, len);
            let last = (self.kept.len() - 1) as f32;
            for class in &mut class {
                let low = if *class > 0.0 { *class } else { 0.0 };
                *class = (if low > last { last } else { low }).floor();
            }
        }
        let (mut largest, mut chosen) = ([f32::NEG_INFINITY; LANES], [0.0f32; LANES]);
        for (k, kept) in self.kept.iter_mut().enumerate() {
            *kept = load(self.logits, k * features + first, len);
            raise(&mut largest, kept);
            for lane in 0..LANES {
                chosen[lane] = if class[lane] == k as f32 { kept[lane] } else { chosen[lane] };
            }
        }
        let mut total = [0.0f32; LANES];
        for kept in self.kept.iter_mut() {
            add_exp(&mut total, kept, &largest);
        }
        let weights = self.weights.map_or([1.0; LANES], |weights| load(weights, first, len));
        let sign = if self.given.is_some() { -1.0 } else { 1.0 };
        let (mut out, mut factors) = ([0.0f32; LANES], [0.0f32; LANES]);
        for lane in 0..LANES {
            // The largest logit cancels where a class is given.
            let relative = (chosen[lane] + sign * largest[lane]) + sign * ln(total[lane]);
            out[lane] = relative * weights[lane];
            factors[lane] = sign * weights[lane] / total[lane];
        }
        let Some(slopes) = &mut self.slopes else { return out };
        for (k, kept) in self.kept.iter_mut().enumerate() {
            for lane in 0..LANES {
                let own = if class[lane] == k as f32 { weights[lane] } else { 0.0 };
                kept[lane] = own + kept[lane] * factors[lane];
            }
            store(slopes, k * features + first, len, kept);
        }
        out
    }
}

/// A lane of each. A loop, because `std::array::from_fn` is a call that is not inlined.
#[inline(always)]
fn lane_of<const N: usize>(all: &[Lanes; N], lane: usize) -> [f32; N] {
    let mut numbers = [0.0; N];
    for i in 0..N {
        numbers[i] = all[i][lane];
    }
    numbers
}

#[inline(always)]
fn raise(largest: &mut Lanes, other: &Lanes) {
    for (largest, other) in largest.iter_mut().zip(other) {
        *largest = if *other > *largest { *other } else { *largest };
    }
}

/// Replaces numbers by their exponentials relative to the largest, and adds them to the sums.
#[inline(always)]
fn add_exp(sums: &mut Lanes, numbers: &mut Lanes, largest: &Lanes) {
    for lane in 0..LANES {
        numbers[lane] = exp(numbers[lane] - largest[lane]);
        sums[lane] += numbers[lane];
    }
}
