//! Statistics of entries, value by value.

/// Statistics of the observed entries at a place on the first axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Statistics {
    /// The statistics of a sequence of values: Welford (1962), "Note on a Method for Calculating Corrected
    /// Sums of Squares and Products".
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sums = Sums::default();
        values.for_each(|value| sums.add(value));
        sums.statistics()
    }
}

/// What statistics are made of, value by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    count: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Default for Sums {
    fn default() -> Self {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { count: 0.0, mean: 0.0, squares: 0.0, low, high }
    }
}

impl Sums {
    /// Adds a value; NaN is none.
    pub(crate) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
        (self.low, self.high) = (self.low.min(value), self.high.max(value));
    }

    pub(crate) fn statistics(self) -> Statistics {
        let Self { count, mean, squares, low, high } = self;
        if count == 0.0 {
            return Statistics { mean: 0.0, variance: 0.0, low: 0.0, high: 0.0 };
        }
        Statistics { mean, variance: squares / count, low, high }
    }
}
