//! A fully connected network for tables of numbers and classes.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layers::Linear;
use crate::mlp::{Mlp, MlpConfig};
use crate::networks::{Bundled, InputOutput, same_rank};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

/// Configuration of a [`TableNetwork`].
///
/// In a file: `network = { type = "table", hidden = [128, 128] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// Widths of the encoder's hidden layers; the decoder has the same widths in reverse.
    pub hidden: Vec<usize>,
    /// The non-linearity after each hidden layer.
    pub activation: Activation,
}

impl Default for TableConfig {
    /// Two hidden layers of 128 units, ReLU.
    fn default() -> Self {
        Self::new(&[128, 128])
    }
}

impl TableConfig {
    /// Hidden layers of these widths, ReLU.
    pub fn new(hidden: &[usize]) -> Self {
        Self { hidden: hidden.into(), activation: Activation::default() }
    }

    fn mlp(&self) -> MlpConfig {
        MlpConfig { hidden: self.hidden.clone(), activation: self.activation }
    }
}

/// The encoder of a [`TableNetwork`].
#[derive(Module, Debug)]
pub(crate) struct TableEncoder {
    cells: Cells,
    layers: Vec<Linear>,
}

/// Fully connected layers over rows of columns, of which some are classes. Which ones, and how many classes they have, the
/// likelihood says.
///
/// ```text
/// [x̃, m] → for each number (1 − m) x̃ + m c, for each class (1 − m) (one-hot of x̃) + m c, and m → hidden … → features
/// ```
///
/// `m` is 1 where a cell is missing or was hidden, as `dvae_corruption::ShowMask` shows it: the network is for input with a mask
/// alone. What stands in for such a cell, `c`, is learned, one number for a number and one for each class. A number that is none of
/// the classes is all zeros.
#[derive(Module, Debug)]
pub struct TableNetwork {
    cells: Cells,
    mlp: Mlp,
}

/// Columns as inputs of layers.
#[derive(Module, Debug)]
struct Cells {
    /// What stands in for missing cells, `[inputs]`.
    missing: Param<Tensor<1>>,
    /// The column of each input.
    #[module(skip)]
    columns: Vec<i64>,
    /// The class that each input is 1 for; `None` for a number.
    #[module(skip)]
    classes: Vec<Option<usize>>,
}

impl Cells {
    fn new(io: &InputOutput, init: &mut Initializer) -> Self {
        let (mut columns, mut classes) = (vec![], vec![]);
        for (column, &count) in io.classes.iter().enumerate() {
            let inputs = if count == 0 { 1 } else { count };
            columns.extend(std::iter::repeat_n(column as i64, inputs));
            classes.extend((0..inputs).map(|class| (count > 0).then_some(class)));
        }
        let missing = init.zeros(columns.len());
        Self { missing, columns, classes }
    }

    /// `[batch, inputs + columns]` of `[batch, 2 · columns]`.
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let device = input.device();
        let inputs = self.columns.len();
        let width = input.dims()[1] / 2;
        let (values, mask) = (input.clone().narrow(1, 0, width), input.narrow(1, width, width));
        let columns = Tensor::from_data(TensorData::new(self.columns.clone(), [inputs]), &device);
        let of_inputs = |cells: Tensor<2>| cells.select(1, columns.clone());
        let row = |number: &dyn Fn(&Option<usize>) -> f32| {
            let numbers: Vec<f32> = self.classes.iter().map(number).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [1, inputs]), &device)
        };
        let class = row(&|class| class.map_or(0.0, |class| class as f32));
        let is_number = row(&|class| f32::from(class.is_none()));
        let (values, hidden) = (of_inputs(values), of_inputs(mask.clone()));
        let one_hot = values.clone().equal(class.expand(values.dims())).float();
        let seen = values * is_number.clone() + one_hot * (is_number.neg() + 1.0);
        let missing = self.missing.val().unsqueeze::<2>();
        let cells = seen * (hidden.clone().neg() + 1.0) + missing * hidden;
        Tensor::cat(vec![cells, mask], 1)
    }
}

impl Bundled for TableConfig {
    type Encoder = TableEncoder;
    type Network = TableNetwork;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        if io.event.len() != 1 {
            return Err(ModelError::Table { shape: io.event.clone() });
        }
        if io.input[0] != 2 * io.event[0] {
            return Err(ModelError::NoMask);
        }
        self.mlp().check(&widened(io))
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> TableEncoder {
        let cells = Cells::new(io, init);
        TableEncoder { cells, layers: self.mlp().encoder(&widened(io), init) }
    }

    fn network(
        &self,
        encoder: TableEncoder,
        io: &InputOutput,
        init: &mut Initializer,
    ) -> TableNetwork {
        let TableEncoder { cells, layers } = encoder;
        TableNetwork { cells, mlp: self.mlp().network(layers, &widened(io), init) }
    }
}

/// The sizes of the fully connected layers.
fn widened(io: &InputOutput) -> InputOutput {
    let inputs = io.classes.iter().map(|&count| count.max(1));
    let inputs = inputs.fold(io.event[0], usize::saturating_add);
    InputOutput { input: vec![inputs], ..io.clone() }
}

/// # Panics
///
/// If `D` is not 2.
impl<const D: usize> Network<D> for TableNetwork {
    fn levels(&self) -> Vec<Level> {
        Network::<D>::levels(&self.mlp)
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        self.mlp.features(self.cells.forward(same_rank(input)))
    }

    fn outputs(&self, context: Features) -> Tensor<D> {
        self.mlp.outputs(context)
    }
}

#[cfg(feature = "onnx")]
mod onnx {
    use dvae_onnx::{Element, Value};

    use super::{Cells, TableNetwork};
    use crate::{GraphNetwork, ModelGraph};

    impl Cells {
        fn in_graph(&self, graph: &mut ModelGraph, input: &Value) -> Value {
            let inputs = self.columns.len();
            let width = self.columns.last().map_or(0, |&last| last as usize + 1);
            let columns = graph.ints(&self.columns);
            let [values, mask] = [0, width].map(|start| graph.narrow(input, 1, start, width));
            let axis = [("axis", dvae_onnx::Attribute::Int(1))];
            let [values, hidden] =
                [&values, &mask].map(|cells| graph.op_with("Gather", &[cells, &columns], &axis));
            let row = |graph: &mut ModelGraph, number: &dyn Fn(&Option<usize>) -> f32| {
                let numbers: Vec<f32> = self.classes.iter().map(number).collect();
                graph.floats(&[1, inputs], &numbers)
            };
            let class = row(graph, &|class| class.map_or(0.0, |class| class as f32));
            let is_number = row(graph, &|class| f32::from(class.is_none()));
            let is_class = row(graph, &|class| f32::from(class.is_some()));
            let one_hot = graph.op("Equal", &[&values, &class]);
            let one_hot = graph.cast(&one_hot, Element::Float);
            let numbers = graph.mul(&values, &is_number);
            let one_hot = graph.mul(&one_hot, &is_class);
            let seen = graph.add(&numbers, &one_hot);
            let shown = graph.one_minus(&hidden);
            let seen = graph.mul(&seen, &shown);
            let missing = graph.weight(&self.missing);
            let missing = graph.mul(&missing, &hidden);
            let cells = graph.add(&seen, &missing);
            graph.concat(&[&cells, &mask], 1)
        }
    }

    impl GraphNetwork for TableNetwork {
        fn features_in(&self, graph: &mut ModelGraph, input: &Value) -> Vec<Value> {
            let cells = self.cells.in_graph(graph, input);
            self.mlp.features_in(graph, &cells)
        }

        fn outputs_in(&self, graph: &mut ModelGraph, context: &Value) -> Value {
            self.mlp.outputs_in(graph, context)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Key;

    #[test]
    fn classes_become_one_hot_and_missing_cells_what_stands_in_for_them() {
        let device = Device::flex();
        let io = InputOutput {
            event: vec![3],
            input: vec![6],
            latent: 1,
            output: vec![1],
            classes: vec![0, 3, 2],
        };
        let mut cells = Cells::new(&io, &mut Initializer::new(Key::new(1), &device));
        let stand_in = Tensor::from_data([9.0, 1.0, 2.0, 3.0, 4.0, 5.0], &device);
        cells.missing = Param::from_tensor(stand_in);
        let input = [
            [0.5, 2.0, 1.0, 0.0, 0.0, 0.0],
            [0.5, 2.0, 0.0, 1.0, 1.0, 0.0],
            [0.5, 0.4, 7.0, 0.0, 0.0, 0.0],
        ];
        let found = cells.forward(Tensor::from_data(input, &device));
        let expected = [
            [0.5, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
            [9.0, 1.0, 2.0, 3.0, 1.0, 0.0, 1.0, 1.0, 0.0],
            [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ];
        let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
        assert_eq!(found, expected.concat());
    }
}
