//! Arithmetic on the values of a graph.

use crate::{Attribute, Element, Graph, Value};

impl Graph {
    /// `a + b`, with shapes broadcast as in NumPy; so do the next three.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b])
    }

    /// `a − b`.
    pub fn sub(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Sub", &[a, b])
    }

    /// `a b`.
    pub fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Mul", &[a, b])
    }

    /// `a / b`.
    pub fn div(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Div", &[a, b])
    }

    /// `x + number`.
    pub fn plus(&mut self, x: &Value, number: f64) -> Value {
        let number = self.float(number);
        self.add(x, &number)
    }

    /// `x · number`.
    pub fn times(&mut self, x: &Value, number: f64) -> Value {
        let number = self.float(number);
        self.mul(x, &number)
    }

    /// `1 − x`.
    pub fn one_minus(&mut self, x: &Value) -> Value {
        let one = self.float(1.0);
        self.sub(&one, x)
    }

    /// `x` between two numbers.
    pub fn clamp(&mut self, x: &Value, low: f64, high: f64) -> Value {
        let ends = [low, high].map(|end| self.float(end));
        self.op("Clip", &[x, &ends[0], &ends[1]])
    }

    /// `x` with elements of another type.
    pub fn cast(&mut self, x: &Value, element: Element) -> Value {
        let to = Attribute::Int(element.number().into());
        self.op_with("Cast", &[x], &[("to", to)])
    }

    /// Values side by side on an axis; one value is itself.
    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        match values {
            [value] => (*value).clone(),
            _ => self.op_with("Concat", values, &[("axis", Attribute::Int(axis))]),
        }
    }

    /// `count` entries of an axis from `start` on.
    pub fn narrow(&mut self, x: &Value, axis: i64, start: usize, count: usize) -> Value {
        let [start, count] = [start, count].map(|n| n as i64);
        let [starts, ends, axes] = [start, start + count, axis].map(|n| self.ints(&[n]));
        self.op("Slice", &[x, &starts, &ends, &axes])
    }

    /// `x` in another shape, of which 0 is the length that the axis has and −1 is what remains.
    pub fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape])
    }

    /// The sum over an axis, which stays with length 1.
    pub fn sum(&mut self, x: &Value, axis: i64) -> Value {
        let axis = self.ints(&[axis]);
        self.op("ReduceSum", &[x, &axis])
    }
}
