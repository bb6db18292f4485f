//! Means of likelihoods as graphs of ONNX.

use burn::tensor::Tensor;
use dvae_onnx::{Attribute, Element, Graph, Value};

use crate::likelihood_config::GAIN;
use crate::{ColumnGroup, LikelihoodConfig, ordinal};

/// The outputs of a decoder in a graph, `[batch, outputs, …]`, and what a mean is made with beside them.
#[derive(Clone, Copy, Debug)]
pub struct GraphOutputs<'a> {
    /// The outputs.
    pub outputs: &'a Value,
    /// The number of columns: the places on axis 1 of a row.
    pub columns: usize,
    /// The learned weights that all rows share, if there are any.
    pub shared: Option<&'a Tensor<1>>,
    /// Rows `[batch, columns or more, …]` whose totals the mean has, if the likelihood needs totals; without them it has that of the
    /// configuration.
    pub totals: Option<&'a Value>,
}

impl LikelihoodConfig {
    /// [`Likelihood::mean`](crate::Likelihood::mean) of rows of these outputs, as a value of the graph `[batch, columns, …]`.
    pub fn mean_in(&self, graph: &mut Graph, of: GraphOutputs<'_>) -> Value {
        let first = |graph: &mut Graph| of.part(graph, 0, 1);
        match self {
            Self::Bernoulli {} => graph.op("Sigmoid", &[of.outputs]),
            Self::ContinuousBernoulli {} => continuous_bernoulli(graph, of.outputs),
            Self::Normal { .. }
            | Self::SharedNormal { .. }
            | Self::OptimalNormal { .. }
            | Self::PoissonGaussian { .. }
            | Self::Laplace { .. } => of.outputs.clone(),
            Self::LearnedNormal { .. } | Self::LearnedLaplace { .. } | Self::StudentT { .. } => {
                first(graph)
            }
            Self::DiscretizedLogistic { levels, components, min_scale } => {
                let [levels, components] = [*levels, *components];
                Logistic { levels, components, min_scale: *min_scale }.mean(graph, of)
            }
            Self::Categorical { classes } => most_probable(graph, of, of.outputs, *classes),
            Self::Tokens { .. } => of.outputs.clone(), // Refused: see the network.
            Self::Ordinal { classes } => ordinal_class(graph, of, *classes),
            Self::Poisson {} | Self::NegativeBinomial { .. } => {
                let raw = first(graph);
                graph.op("Softplus", &[&raw])
            }
            Self::ZeroInflatedNegativeBinomial { .. } => {
                let raw = first(graph);
                let mean = graph.op("Softplus", &[&raw]);
                let counted = of.counted(graph);
                graph.mul(&mean, &counted)
            }
            Self::Proportions { of: counts, total } => proportions(graph, of, counts, *total),
            Self::SelfMasking { of: inner, .. } => {
                let own = inner.shared_weights(of.columns);
                let shared = of.shared.filter(|_| own > 0);
                let shared = shared.map(|shared| shared.clone().narrow(0, 0, own));
                inner.mean_in(graph, GraphOutputs { shared: shared.as_ref(), ..of })
            }
            Self::Columns { groups } => beside(graph, of, groups),
        }
    }
}

impl GraphOutputs<'_> {
    /// The parameter at this place of so many columns' outputs.
    fn part(&self, graph: &mut Graph, place: usize, count: usize) -> Value {
        graph.narrow(self.outputs, 1, place * self.columns, count * self.columns)
    }

    /// What has as many numbers as a row, in the shape of rows.
    fn as_rows(&self, graph: &mut Graph, x: &Value) -> Value {
        let first = self.part(graph, 0, 1);
        let shape = graph.op("Shape", &[&first]);
        graph.op("Reshape", &[x, &shape])
    }

    /// The probability that a count of a zero-inflated likelihood is not one of the extra zeros.
    fn counted(&self, graph: &mut Graph) -> Value {
        let gate = self.part(graph, 2, 1);
        let gate = graph.op("Neg", &[&gate]);
        graph.op("Sigmoid", &[&gate])
    }
}

fn continuous_bernoulli(graph: &mut Graph, l: &Value) -> Value {
    let half = graph.float(0.5);
    let size = graph.op("Abs", &[l]);
    let near = graph.op("Less", &[&size, &half]);
    let small = graph.clamp(l, -0.5, 0.5);
    let s = graph.mul(&small, &small);
    let series = graph.times(&s, 1.0 / 30_240.0);
    let series = graph.plus(&series, -1.0 / 720.0);
    let series = graph.mul(&series, &s);
    let series = graph.plus(&series, 1.0 / 12.0);
    let series = graph.mul(&small, &series);
    let series = graph.plus(&series, 0.5);
    let one = graph.float(1.0);
    let far = graph.op("Where", &[&near, &one, l]);
    let steep = graph.clamp(&far, -80.0, 80.0);
    let steep = graph.op("Neg", &[&steep]);
    let steep = graph.op("Exp", &[&steep]);
    let open = graph.one_minus(&steep);
    let [open, far] = [open, far].map(|x| graph.op("Reciprocal", &[&x]));
    let mean = graph.sub(&open, &far);
    graph.op("Where", &[&near, &series, &mean])
}

/// The number of the largest of so many logits of each entry.
fn most_probable(graph: &mut Graph, of: GraphOutputs<'_>, logits: &Value, classes: usize) -> Value {
    let by_class = graph.reshape(logits, &[0, classes as i64, -1]);
    let attributes = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
    let class = graph.op_with("ArgMax", &[&by_class], &attributes);
    let class = graph.cast(&class, Element::Float);
    of.as_rows(graph, &class)
}

/// As [`Categorical::ordinal`](crate::Categorical::ordinal).
fn ordinal_class(graph: &mut Graph, of: GraphOutputs<'_>, classes: usize) -> Value {
    let (columns, limits) = (of.columns, classes - 1);
    let settings = ordinal::Settings { classes };
    let weights = of.shared.expect("the thresholds of the likelihood").clone() * GAIN;
    let thresholds: Vec<f32> = settings.thresholds(weights, columns).into_data().iter().collect();
    // Entries flat behind their columns: [batch, columns, features].
    let flat = |graph: &mut Graph, x: &Value| graph.reshape(x, &[0, columns as i64, -1]);
    let [location, raw] = [0, 1].map(|at| {
        let part = of.part(graph, at, 1);
        flat(graph, &part)
    });
    let raw = graph.plus(&raw, 1f64.exp_m1().ln());
    let precision = graph.op("Softplus", &[&raw]);
    let precision = graph.plus(&precision, ordinal::CLOSEST);
    let row = |graph: &mut Graph, at: usize| {
        graph.floats(&[1, columns, 1], &thresholds[at * columns..][..columns])
    };
    // ln p(x ≤ k) = −ln(1 + e⁻ᵃ) and ln p(x > k) = −ln(1 + eᵃ), of a = p (θ − h).
    let sides = |graph: &mut Graph, at: usize| {
        let threshold = row(graph, at);
        let above = graph.sub(&threshold, &location);
        let above = graph.mul(&above, &precision);
        let below = graph.op("Neg", &[&above]);
        [below, above].map(|side| {
            let side = graph.op("Softplus", &[&side]);
            graph.op("Neg", &[&side])
        })
    };
    let sides: Vec<[Value; 2]> = (0..limits).map(|at| sides(graph, at)).collect();
    let mut logits = vec![sides[0][0].clone()];
    for at in 1..limits {
        let gap: Vec<f32> = (0..columns)
            .map(|column| {
                thresholds[at * columns + column] - thresholds[(at - 1) * columns + column]
            })
            .collect();
        let gap = graph.floats(&[1, columns, 1], &gap);
        let gap = graph.mul(&gap, &precision);
        let half = graph.times(&gap, 0.5);
        let bent = graph.op("Tanh", &[&half]);
        let bent = graph.op("Log", &[&bent]);
        let gap = graph.op("Neg", &[&gap]);
        let rest = graph.op("Softplus", &[&gap]);
        let between = graph.add(&bent, &rest);
        let both = graph.add(&sides[at][0], &sides[at - 1][1]);
        logits.push(graph.add(&both, &between));
    }
    logits.push(sides[limits - 1][1].clone());
    let logits = graph.concat(&logits.iter().collect::<Vec<_>>(), 1);
    most_probable(graph, of, &logits, classes)
}

/// As [`Proportions`](crate::Proportions): shares of a row's total.
fn proportions(
    graph: &mut Graph,
    of: GraphOutputs<'_>,
    counts: &LikelihoodConfig,
    total: f64,
) -> Value {
    let flat = |graph: &mut Graph, x: &Value| {
        graph.op_with("Flatten", &[x], &[("axis", Attribute::Int(1))])
    };
    let raw = of.part(graph, 0, 1);
    let raw = flat(graph, &raw);
    let shares = graph.op_with("Softmax", &[&raw], &[("axis", Attribute::Int(1))]);
    let totals = match of.totals {
        Some(rows) => {
            let rows = graph.narrow(rows, 1, 0, of.columns);
            let rows = flat(graph, &rows);
            let totals = graph.sum(&rows, 1);
            let least = graph.float(crate::proportions::LEAST);
            graph.op("Max", &[&totals, &least])
        }
        None => graph.float(total),
    };
    let mean = graph.mul(&shares, &totals);
    let mean = of.as_rows(graph, &mean);
    match counts {
        LikelihoodConfig::ZeroInflatedNegativeBinomial { .. } => {
            let counted = of.counted(graph);
            graph.mul(&mean, &counted)
        }
        _ => mean,
    }
}

/// The groups of columns, each by its own likelihood.
fn beside(graph: &mut Graph, of: GraphOutputs<'_>, groups: &[ColumnGroup]) -> Value {
    let (mut start, mut used, mut place) = (0, 0, 0);
    let means: Vec<Value> = groups
        .iter()
        .map(|ColumnGroup { columns, likelihood }| {
            let columns = *columns;
            let (width, weights) =
                (likelihood.outputs(columns), likelihood.shared_weights(columns));
            let outputs = graph.narrow(of.outputs, 1, start, width);
            let shared = of.shared.filter(|_| weights > 0);
            let shared = shared.map(|shared| shared.clone().narrow(0, used, weights));
            let totals = of.totals.filter(|_| likelihood.needs_totals());
            let totals = totals.map(|rows| graph.narrow(rows, 1, place, columns));
            (start, used, place) = (start + width, used + weights, place + columns);
            let group = GraphOutputs {
                outputs: &outputs,
                columns,
                shared: shared.as_ref(),
                totals: totals.as_ref(),
            };
            likelihood.mean_in(graph, group)
        })
        .collect();
    graph.concat(&means.iter().collect::<Vec<_>>(), 1)
}

/// [`DiscretizedLogistic`](crate::DiscretizedLogistic), whose documentation has the formulas.
struct Logistic {
    levels: usize,
    components: usize,
    min_scale: f64,
}

impl Logistic {
    fn mean(&self, graph: &mut Graph, of: GraphOutputs<'_>) -> Value {
        let k = self.components;
        let groups = if k == 1 { 2 } else { 3 };
        let by_group = graph.reshape(of.outputs, &[0, (groups * k) as i64, -1]);
        let part = |graph: &mut Graph, at: usize| graph.narrow(&by_group, 1, at * k, k);
        let location = part(graph, groups - 2);
        let scale = part(graph, groups - 1);
        let scale = graph.op("Softplus", &[&scale]);
        let scale = graph.plus(&scale, self.min_scale);
        let means = self.component_means(graph, &location, &scale);
        let mean = match groups {
            2 => means,
            _ => {
                let logits = part(graph, 0);
                let weights = graph.op_with("Softmax", &[&logits], &[("axis", Attribute::Int(1))]);
                let weighted = graph.mul(&weights, &means);
                graph.sum(&weighted, 1)
            }
        };
        let mean = graph.clamp(&mean, 0.0, 1.0);
        of.as_rows(graph, &mean)
    }

    fn component_means(&self, graph: &mut Graph, location: &Value, scale: &Value) -> Value {
        const REACH: f64 = 4.0;
        let last = (self.levels - 1) as f64;
        let [u, r] = [location, scale].map(|x| graph.times(x, last));
        let nearest = graph.plus(&u, 0.5);
        let nearest = graph.op("Floor", &[&nearest]);
        let [low, high] = [-REACH, REACH].map(|reach| {
            let end = graph.plus(&nearest, reach);
            graph.clamp(&end, 0.0, last)
        });
        let [first, end] = [0.0, last].map(|end| graph.float(end));
        let mut mean = low.clone();
        for (end, sign) in [(&first, 1.0), (&low, -1.0), (&high, 1.0), (&end, -1.0)] {
            let distance = graph.sub(&u, end);
            let rest = rest_beyond(graph, &distance, &r);
            let rest = graph.times(&rest, sign);
            mean = graph.add(&mean, &rest);
        }
        let zero = graph.float(0.0);
        for step in 0..(2.0 * REACH).min(last) as usize {
            let t = graph.plus(&low, step as f64 + 0.5);
            let distance = graph.sub(&u, &t);
            let z = graph.div(&distance, &r);
            let term = graph.op("Sigmoid", &[&z]);
            let is_in = graph.op("Less", &[&t, &high]);
            let term = graph.op("Where", &[&is_in, &term, &zero]);
            mean = graph.add(&mean, &term);
        }
        graph.times(&mean, 1.0 / last)
    }
}

fn rest_beyond(graph: &mut Graph, distance: &Value, r: &Value) -> Value {
    let z = graph.div(distance, r);
    let size = graph.op("Abs", &[&z]);
    let size = graph.op("Neg", &[&size]);
    let tail = graph.op("Softplus", &[&size]);
    let tail = graph.mul(&tail, r);
    let upper = graph.op("Sigmoid", &[&z]);
    let lower = graph.one_minus(&upper);
    let slope = graph.mul(&upper, &lower);
    let quarter = graph.float(0.25);
    let inverse = graph.op("Max", &[r, &quarter]);
    let inverse = graph.op("Reciprocal", &[&inverse]);
    let curve = graph.times(&slope, -6.0);
    let curve = graph.plus(&curve, 1.0);
    let third = graph.mul(&slope, &curve);
    let cube = [&inverse, &inverse, &inverse].into_iter();
    let third = cube.fold(third, |x, inverse| graph.mul(&x, inverse));
    let third = graph.times(&third, 7.0 / 5760.0);
    let slope = graph.mul(&slope, &inverse);
    let slope = graph.times(&slope, 1.0 / 24.0);
    let rest = graph.sub(&tail, &slope);
    graph.add(&rest, &third)
}
