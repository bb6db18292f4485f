//! A trained model as a file of ONNX.

use std::path::Path;

use dvae_data::{Ranks, write_file};
use dvae_distributions::LatentShape;
use dvae_models::ModelGraph;
use dvae_onnx::{Axis, Element, Graph, Value};

use super::identity::description;
use super::{ExperimentError, Pretrained};

/// What a graph computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphPart {
    /// From rows `x` to `denoised`: [`Pretrained::denoise`], or for pictures of other sides [`Pretrained::denoise_picture`].
    #[default]
    Denoise,
    /// From rows `x` to the posterior of each level, top first, at the means of the levels above: `mean_0`, `log_variance_0`, `mean_1`,
    /// …. A posterior that is no diagonal normal has no log-variance.
    Encode,
    /// From the latents of each level, `z_0`, `z_1`, …, to the `mean` of `p(x | z)`: [`Pretrained::decode`].
    Decode,
}

impl GraphPart {
    fn name(self) -> &'static str {
        match self {
            Self::Denoise => "denoise",
            Self::Encode => "encode",
            Self::Decode => "decode",
        }
    }
}

impl Pretrained {
    /// Writes the model, or a part of it, as a graph of ONNX, operator set 18.
    ///
    /// Rows go in and come out in the units of the user's files, as everywhere here: the scaling is part of the graph, and a NaN is an
    /// entry that was not observed. Rows that are scaled are of double precision, others of single precision. The number of rows is
    /// any, and so are the sides of pictures if the model applies to them ([`Pretrained::reach`]). The metadata has the experiment and
    /// what its data decided, without the places of files, as a file of [`Pretrained::export`] has it.
    ///
    /// An error names a model that takes more than 2 GiB, or a file that cannot be written.
    pub fn export_onnx(&self, file: &Path, part: GraphPart) -> Result<(), ExperimentError> {
        let bytes = self.onnx(part)?;
        Ok(write_file(file, &bytes)?)
    }

    /// The bytes that [`Self::export_onnx`] writes. An error names a model that takes more than 2 GiB.
    pub fn onnx(&self, part: GraphPart) -> Result<Vec<u8>, ExperimentError> {
        self.data.check_numbers("graphs of ONNX")?;
        let mut graph = ModelGraph::new(part.name(), &self.model);
        match part {
            GraphPart::Denoise => {
                let rows = self.rows_in(&mut graph);
                let (_, context) = self.model.encode_in(&mut graph, &rows.seen);
                self.mean_out(&mut graph, "denoised", &context, Some(&rows.known));
            }
            GraphPart::Encode => {
                let rows = self.rows_in(&mut graph);
                let (levels, _) = self.model.encode_in(&mut graph, &rows.seen);
                for (level, found) in levels.iter().enumerate() {
                    let shape = self.latent_axes(level);
                    let named = [
                        ("mean", Some(&found.mean)),
                        ("log_variance", found.log_variance.as_ref()),
                    ];
                    for (name, value) in named {
                        if let Some(value) = value {
                            graph.output(&format!("{name}_{level}"), Element::Float, &shape, value);
                        }
                    }
                }
            }
            GraphPart::Decode => {
                let latents: Vec<Value> = (0..self.levels().len())
                    .map(|level| {
                        graph.input(&format!("z_{level}"), Element::Float, &self.latent_axes(level))
                    })
                    .collect();
                let context = self.model.descend_in(&mut graph, &latents);
                self.mean_out(&mut graph, "mean", &context, None);
            }
        }
        let text = description(&self.to_pass_on(), &self.data, self.calibrations())?;
        let mut properties = vec![("dvae", text), ("domain", self.data.domain.to_string())];
        if let Some(columns) = &self.data.columns {
            let columns = serde_json::to_string(columns).expect("a list of names");
            properties.push(("columns", columns));
        }
        Ok(graph.into_graph().into_bytes(&properties)?)
    }

    /// The shape of rows of a batch, and their numbers' type.
    fn row_axes(&self) -> (Vec<Axis>, Element) {
        let sides = ["height", "width"];
        let axis = |(at, &side): (usize, &usize)| match self.reach() {
            Some(_) if at > 0 => Axis::any(sides[at - 1]),
            _ => Axis::Fixed(side),
        };
        let axes = std::iter::once(Axis::any("batch"))
            .chain(self.event().iter().enumerate().map(axis))
            .collect();
        let element = if self.data.scaler.is_some() { Element::Double } else { Element::Float };
        (axes, element)
    }

    /// The shape of a level's latents in a batch.
    fn latent_axes(&self, level: usize) -> Vec<Axis> {
        let of_row = match (self.levels()[level], self.reach()) {
            (LatentShape::Vector(latents), _) => vec![Axis::Fixed(latents)],
            (LatentShape::Map { channels, height, width }, None) => {
                [channels, height, width].map(Axis::Fixed).into()
            }
            (LatentShape::Map { channels, .. }, Some(_)) => {
                let side = |name| Axis::Any(format!("{name}_{level}"));
                vec![Axis::Fixed(channels), side("height"), side("width")]
            }
        };
        std::iter::once(Axis::any("batch")).chain(of_row).collect()
    }

    /// The input of a graph that takes rows.
    fn rows_in(&self, graph: &mut ModelGraph) -> Rows {
        let (axes, element) = self.row_axes();
        let rows = graph.input("x", element, &axes);
        let missing = graph.op("IsNaN", &[&rows]);
        let scaled = match &self.data.scaler {
            Some(_) => {
                let scaled = self.scaling().apply(graph, &rows);
                graph.cast(&scaled, Element::Float)
            }
            None => rows,
        };
        let zero = graph.float(0.0);
        let known = graph.op("Where", &[&missing, &zero, &scaled]);
        let seen = match self.shows_mask {
            true => {
                let mask = graph.cast(&missing, Element::Float);
                graph.concat(&[&known, &mask], 1)
            }
            false => known.clone(),
        };
        Rows { seen, known }
    }

    /// The mean of `p(x | z)` as an output of a graph.
    fn mean_out(&self, graph: &mut ModelGraph, name: &str, context: &Value, rows: Option<&Value>) {
        let rows = rows.filter(|_| self.likelihood.needs_totals());
        let mean = self.model.mean_in(graph, context, self.event()[0], rows);
        let (axes, element) = self.row_axes();
        let mean = match &self.data.scaler {
            Some(_) => {
                let mean = graph.cast(&mean, Element::Double);
                self.scaling().undo(graph, &mean)
            }
            None => mean,
        };
        graph.output(name, element, &axes, &mean);
    }

    fn scaling(&self) -> Scaling<'_> {
        let scaler = self.data.scaler.as_ref().expect("rows that are scaled");
        let mut shape = vec![1; self.event().len()];
        shape[0] = self.event()[0];
        Scaling {
            offset: &scaler.offset,
            scale: &scaler.scale,
            unit: &scaler.unit,
            ranks: &scaler.ranks,
            shape,
        }
    }
}

/// Rows in the units of the model.
struct Rows {
    /// What the encoder sees: with a mask, if it is shown one.
    seen: Value,
    /// With 0 for what was not observed.
    known: Value,
}

/// A [`Scaler`](dvae_data::Scaler) in a graph, in double precision. `shape` is that of one number for each place.
struct Scaling<'a> {
    offset: &'a [f64],
    scale: &'a [f64],
    unit: &'a [f64],
    ranks: &'a [Ranks],
    shape: Vec<usize>,
}

impl Scaling<'_> {
    fn apply(&self, graph: &mut Graph, x: &Value) -> Value {
        let curved = self.curved(graph, x);
        let curved = self.ranked(graph, x, curved, [0, 1]);
        let (offset, scale) = (self.constant(graph, self.offset), self.constant(graph, self.scale));
        let centered = graph.sub(&curved, &offset);
        graph.div(&centered, &scale)
    }

    fn undo(&self, graph: &mut Graph, scaled: &Value) -> Value {
        let (offset, scale) = (self.constant(graph, self.offset), self.constant(graph, self.scale));
        let curved = graph.mul(scaled, &scale);
        let curved = graph.add(&curved, &offset);
        let straight = self.straight(graph, &curved);
        self.ranked(graph, &curved, straight, [1, 0])
    }

    fn constant(&self, graph: &mut Graph, of_places: &[f64]) -> Value {
        graph.doubles(&self.shape, of_places)
    }

    /// Where a condition on places holds, one value, and elsewhere another one.
    fn choose(
        &self,
        graph: &mut Graph,
        holds: impl Iterator<Item = bool>,
        [one, other]: [&Value; 2],
    ) -> Value {
        let holds: Vec<f64> = holds.map(|holds| f64::from(u8::from(holds))).collect();
        let holds = self.constant(graph, &holds);
        let holds = graph.cast(&holds, Element::Bool);
        graph.op("Where", &[&holds, one, other])
    }

    /// `sign(x) ln(1 + |x| / unit)` at the places that have a unit.
    fn curved(&self, graph: &mut Graph, x: &Value) -> Value {
        if self.unit.iter().all(|&unit| unit == 0.0) {
            return x.clone();
        }
        let units = self.units(graph);
        let size = graph.op("Abs", &[x]);
        let ratio = graph.div(&size, &units);
        let one = graph.doubles(&[], &[1.0]);
        let sum = graph.add(&ratio, &one);
        let log = graph.op("Log", &[&sum]);
        let sign = graph.op("Sign", &[x]);
        let curved = graph.mul(&sign, &log);
        self.choose(graph, self.unit.iter().map(|&unit| unit > 0.0), [&curved, x])
    }

    /// Undoes [`Self::curved`].
    fn straight(&self, graph: &mut Graph, y: &Value) -> Value {
        if self.unit.iter().all(|&unit| unit == 0.0) {
            return y.clone();
        }
        let units = self.units(graph);
        let size = graph.op("Abs", &[y]);
        let grown = graph.op("Exp", &[&size]);
        let one = graph.doubles(&[], &[1.0]);
        let grown = graph.sub(&grown, &one);
        let sign = graph.op("Sign", &[y]);
        let signed = graph.mul(&sign, &grown);
        let straight = graph.mul(&signed, &units);
        self.choose(graph, self.unit.iter().map(|&unit| unit > 0.0), [&straight, y])
    }

    fn units(&self, graph: &mut Graph) -> Value {
        let units: Vec<f64> =
            self.unit.iter().map(|&unit| if unit > 0.0 { unit } else { 1.0 }).collect();
        self.constant(graph, &units)
    }

    /// The scores of numbers at the places that have ranks, or with the axes of the knots in the other order the numbers of scores;
    /// elsewhere, what is given. As [`Ranks::score`] and [`Ranks::number`].
    fn ranked(&self, graph: &mut Graph, x: &Value, elsewhere: Value, axes: [usize; 2]) -> Value {
        if self.ranks.iter().all(Ranks::is_empty) {
            return elsewhere;
        }
        let knots = Knots { ranks: self.ranks, shape: &self.shape, axes };
        let around = knots.around(graph, x);
        let (run, rise) = (graph.sub(&around.x1, &around.x0), graph.sub(&around.y1, &around.y0));
        let slope = graph.div(&rise, &run);
        let (low, high) = (knots.ends(graph, |_| 0), knots.ends(graph, |count| count - 1));
        let inside = graph.op("Max", &[x, &low]);
        let inside = graph.op("Min", &[&inside, &high]);
        let step = graph.sub(&inside, &around.x0);
        let step = graph.mul(&step, &slope);
        let inner = graph.add(&around.y0, &step);
        let distance = graph.sub(x, &inside);
        let (sign, size) = (graph.op("Sign", &[&distance]), graph.op("Abs", &[&distance]));
        let grown = match axes {
            [0, _] => score_beyond(graph, &size, &slope),
            _ => number_beyond(graph, &size, &slope),
        };
        let beyond = graph.mul(&sign, &grown);
        let ranked = graph.add(&inner, &beyond);
        let has_ranks = self.ranks.iter().map(|ranks| !ranks.is_empty());
        self.choose(graph, has_ranks, [&ranked, &elsewhere])
    }
}

/// The knots of all places, as a map from the first of the axes to the second.
struct Knots<'a> {
    ranks: &'a [Ranks],
    /// Of one number for each place.
    shape: &'a [usize],
    axes: [usize; 2],
}

/// The knots around each of several numbers.
struct Around {
    x0: Value,
    x1: Value,
    y0: Value,
    y1: Value,
}

impl<'a> Knots<'a> {
    /// The knots of a place; for one without ranks, two that nothing is made of.
    fn at(&self, place: usize) -> &'a [[f64; 2]] {
        match self.ranks[place].knots() {
            [] => &[[0.0, 0.0], [1.0, 1.0]],
            knots => knots,
        }
    }

    /// How many knots the place with the most has.
    fn most(&self) -> usize {
        (0..self.ranks.len()).map(|place| self.at(place).len()).max().unwrap_or(0)
    }

    /// An axis of the knots of all places, as many of each as the most: behind its own is `rest`.
    fn column(&self, axis: usize, rest: f64) -> Vec<f64> {
        let most = self.most();
        let of = |place: usize| {
            let own = self.at(place).iter().map(move |knot| knot[axis]);
            own.chain(std::iter::repeat(rest)).take(most).collect::<Vec<_>>()
        };
        (0..self.ranks.len()).flat_map(of).collect()
    }

    /// An integer for each place.
    fn integers(&self, graph: &mut Graph, number: impl Fn(usize) -> usize) -> Value {
        let numbers: Vec<i64> = (0..self.ranks.len()).map(|place| number(place) as i64).collect();
        let numbers = graph.ints(&numbers);
        let shape: Vec<i64> = self.shape.iter().map(|&side| side as i64).collect();
        graph.reshape(&numbers, &shape)
    }

    /// The knot of each place at a number that its count gives.
    fn ends(&self, graph: &mut Graph, at: impl Fn(usize) -> usize) -> Value {
        let end = |place: usize| self.at(place)[at(self.at(place).len())][self.axes[0]];
        let ends: Vec<f64> = (0..self.ranks.len()).map(end).collect();
        graph.doubles(self.shape, &ends)
    }

    fn around(&self, graph: &mut Graph, x: &Value) -> Around {
        let (most, [from, to]) = (self.most(), self.axes);
        // How many knots are not above the number.
        let by_knot = [self.shape, &[most]].concat();
        let limits = graph.doubles(&by_knot, &self.column(from, f64::INFINITY));
        let last_axis = graph.ints(&[-1]);
        let beside = graph.op("Unsqueeze", &[x, &last_axis]);
        let reached = graph.op("GreaterOrEqual", &[&beside, &limits]);
        let reached = graph.cast(&reached, Element::Int);
        let squeezed = [("keepdims", dvae_onnx::Attribute::Int(0))];
        let above = graph.op_with("ReduceSum", &[&reached, &last_axis], &squeezed);
        // The one after them, and the one before that; then their places among all.
        let one = graph.ints(&[1]);
        let last = self.integers(graph, |place| self.at(place).len() - 1);
        let above = graph.op("Max", &[&above, &one]);
        let above = graph.op("Min", &[&above, &last]);
        let start = self.integers(graph, |place| place * most);
        let above = graph.add(&above, &start);
        let below = graph.sub(&above, &one);
        let [ours, theirs] = [from, to]
            .map(|axis| graph.doubles(&[self.ranks.len() * most], &self.column(axis, 0.0)));
        let mut pick = |column: &Value, at: &Value| graph.op("Gather", &[column, at]);
        Around {
            x0: pick(&ours, &below),
            x1: pick(&ours, &above),
            y0: pick(&theirs, &below),
            y1: pick(&theirs, &above),
        }
    }
}

/// `2 s / (1 + √(1 + 2 s))` of `s = size · slope`: how far scores go beyond the last one.
fn score_beyond(graph: &mut Graph, size: &Value, slope: &Value) -> Value {
    let (one, two) = (graph.doubles(&[], &[1.0]), graph.doubles(&[], &[2.0]));
    let steps = graph.mul(size, slope);
    let twice = graph.mul(&steps, &two);
    let root = graph.add(&twice, &one);
    let root = graph.op("Sqrt", &[&root]);
    let bottom = graph.add(&root, &one);
    graph.div(&twice, &bottom)
}

/// `slope · size (1 + size / 2)`: how far numbers go beyond the last one.
fn number_beyond(graph: &mut Graph, size: &Value, slope: &Value) -> Value {
    let (one, half) = (graph.doubles(&[], &[1.0]), graph.doubles(&[], &[0.5]));
    let more = graph.mul(size, &half);
    let more = graph.add(&more, &one);
    let steps = graph.mul(size, &more);
    graph.mul(&steps, slope)
}
