//! A graph, and what is computed in it.

use std::collections::BTreeMap;

use prost::Message;

use crate::proto::{
    AttributeMessage, Constant, Dimension, GraphMessage, Kind, Model, Node, OperatorSet, Property,
    Shape, TensorKind, ValueInfo,
};
use crate::{Axis, Element, OnnxError};

/// The operator set of the nodes, and the version of the format that has it.
const OPERATORS: i64 = 18;
const FORMAT: i64 = 8;
/// The largest message of the format.
const LARGEST: usize = i32::MAX as usize;

/// A tensor of a [`Graph`]: an input, a constant, or the result of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    name: String,
}

/// A setting of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute<'a> {
    /// One number.
    Float(f32),
    /// One integer.
    Int(i64),
    /// Several integers.
    Ints(&'a [i64]),
    /// A name.
    Name(&'a str),
}

/// A graph of ONNX, operator set 18, to which inputs, nodes and outputs are added one by one.
///
/// Nothing is checked while it grows: a graph with an operator that does not exist, or with shapes that do not fit, is
/// refused by the program that loads it.
#[derive(Debug)]
pub struct Graph {
    message: GraphMessage,
    /// How many results of each operator there are.
    counts: BTreeMap<String, usize>,
    /// Constants by element, shape and bytes.
    constants: BTreeMap<(Element, Vec<usize>, Vec<u8>), Value>,
}

impl Graph {
    /// An empty graph of this name.
    pub fn new(name: &str) -> Self {
        let message = GraphMessage { name: Some(name.to_owned()), ..GraphMessage::default() };
        Self { message, counts: BTreeMap::new(), constants: BTreeMap::new() }
    }

    /// Adds an input.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Axis]) -> Value {
        self.message.input.push(info(name, element, shape));
        Value { name: name.to_owned() }
    }

    /// Makes a value an output of this name.
    pub fn output(&mut self, name: &str, element: Element, shape: &[Axis], value: &Value) {
        self.message.output.push(info(name, element, shape));
        self.push("Identity", &[value], &[], name.to_owned());
    }

    /// Adds a tensor of weights under a name that nothing else has.
    pub fn weights(&mut self, name: &str, shape: &[usize], weights: &[f32]) -> Value {
        let bytes = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        self.initializer(name.to_owned(), Element::Float, shape, bytes)
    }

    /// A constant tensor of single precision.
    pub fn floats(&mut self, shape: &[usize], numbers: &[f32]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Element::Float, shape, bytes)
    }

    /// A constant number of single precision, of rank 0.
    pub fn float(&mut self, number: f64) -> Value {
        self.floats(&[], &[number as f32])
    }

    /// A constant tensor of double precision.
    pub fn doubles(&mut self, shape: &[usize], numbers: &[f64]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Element::Double, shape, bytes)
    }

    /// A constant vector of integers.
    pub fn ints(&mut self, numbers: &[i64]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Element::Int, &[numbers.len()], bytes)
    }

    /// The result of an operator.
    pub fn op(&mut self, operator: &str, inputs: &[&Value]) -> Value {
        self.op_with(operator, inputs, &[])
    }

    /// The result of an operator with settings.
    pub fn op_with(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Value {
        let name = self.fresh(operator);
        self.push(operator, inputs, attributes, name)
    }

    /// The graph as a file, with properties for people and programs.
    pub fn into_bytes(self, properties: &[(&str, String)]) -> Result<Vec<u8>, OnnxError> {
        let property = |(key, value): &(&str, String)| Property {
            key: Some((*key).to_owned()),
            value: Some(value.clone()),
        };
        let operators = OperatorSet { domain: Some(String::new()), version: Some(OPERATORS) };
        let model = Model {
            ir_version: Some(FORMAT),
            producer_name: Some("dvae".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.message),
            opset_import: vec![operators],
            metadata_props: properties.iter().map(property).collect(),
        };
        let bytes = model.encoded_len();
        if bytes > LARGEST {
            return Err(OnnxError::Large { bytes });
        }
        Ok(model.encode_to_vec())
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute<'_>)],
        name: String,
    ) -> Value {
        self.message.node.push(Node {
            input: inputs.iter().map(|value| value.name.clone()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes.iter().map(|(name, value)| value.named(name)).collect(),
        });
        Value { name }
    }

    fn constant(&mut self, element: Element, shape: &[usize], bytes: Vec<u8>) -> Value {
        let key = (element, shape.to_vec(), bytes);
        if let Some(known) = self.constants.get(&key) {
            return known.clone();
        }
        let name = self.fresh("constant");
        let value = self.initializer(name, element, shape, key.2.clone());
        self.constants.insert(key, value.clone());
        value
    }

    fn initializer(
        &mut self,
        name: String,
        element: Element,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Value {
        self.message.initializer.push(Constant {
            dims: shape.iter().map(|&side| side as i64).collect(),
            data_type: Some(element.number()),
            name: Some(name.clone()),
            raw_data: Some(bytes),
        });
        Value { name }
    }

    /// A name that no other value has; names of weights have no colon.
    fn fresh(&mut self, operator: &str) -> String {
        let count = self.counts.entry(operator.to_lowercase()).or_default();
        *count += 1;
        format!("{}:{count}", operator.to_lowercase())
    }
}

impl Attribute<'_> {
    fn named(&self, name: &str) -> AttributeMessage {
        let empty = AttributeMessage { name: Some(name.to_owned()), ..AttributeMessage::default() };
        match *self {
            Self::Float(number) => AttributeMessage { f: Some(number), kind: Some(1), ..empty },
            Self::Int(number) => AttributeMessage { i: Some(number), kind: Some(2), ..empty },
            Self::Name(name) => AttributeMessage { s: Some(name.into()), kind: Some(3), ..empty },
            Self::Ints(numbers) => {
                AttributeMessage { ints: numbers.into(), kind: Some(7), ..empty }
            }
        }
    }
}

fn info(name: &str, element: Element, shape: &[Axis]) -> ValueInfo {
    let dimension = |axis: &Axis| match axis {
        Axis::Fixed(side) => Dimension { value: Some(*side as i64), param: None },
        Axis::Any(name) => Dimension { value: None, param: Some(name.clone()) },
    };
    let shape = Shape { dim: shape.iter().map(dimension).collect() };
    let tensor = TensorKind { element: Some(element.number()), shape: Some(shape) };
    ValueInfo { name: Some(name.to_owned()), kind: Some(Kind { tensor: Some(tensor) }) }
}
