//! Tables of numbers, and what fills them in without a model.

/// Nearest neighbors whose mean fills a cell in.
const NEIGHBORS: usize = 10;

/// Means and standard deviations of the cells that are there.
#[derive(Debug)]
pub struct Columns {
    /// The mean of each column.
    pub means: Vec<f64>,
    /// The standard deviation of each column; 1 if all of its cells are the same.
    pub deviations: Vec<f64>,
}

impl Columns {
    /// Of rows in which NaN is a missing cell.
    pub fn of(rows: &[Vec<f64>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        let mean = |column: usize, f: &dyn Fn(f64) -> f64| {
            let cells = rows.iter().map(|row| row[column]).filter(|cell| !cell.is_nan());
            let (sum, n) = cells.fold((0.0, 0.0f64), |(sum, n), cell| (sum + f(cell), n + 1.0));
            sum / n.max(1.0)
        };
        let means: Vec<f64> = (0..width).map(|column| mean(column, &|x| x)).collect();
        let deviation = |column: usize| mean(column, &|x| (x - means[column]).powi(2)).sqrt();
        let deviations = (0..width).map(deviation).map(|d| if d > 0.0 { d } else { 1.0 }).collect();
        Self { means, deviations }
    }

    /// Row and column of each missing cell.
    pub fn missing(&self, rows: &[Vec<f64>]) -> Vec<(usize, usize)> {
        let places = (0..rows.len()).flat_map(|row| (0..self.means.len()).map(move |at| (row, at)));
        places.filter(|&(row, column)| rows[row][column].is_nan()).collect()
    }
}

/// The table with each missing cell the mean of its nearest rows, by the columns that both have, in standard deviations.
pub fn neighbors(rows: &[Vec<f64>], columns: &Columns) -> Vec<Vec<f64>> {
    let distance = |a: &[f64], b: &[f64]| {
        let both = a.iter().zip(b).zip(&columns.deviations);
        let squares = both.map(|((a, b), deviation)| ((a - b) / deviation).powi(2));
        let (sum, n) =
            squares.filter(|x| !x.is_nan()).fold((0.0, 0.0), |(s, n), x| (s + x, n + 1.0));
        sum / n // NaN, and last in order, if the rows have no column in common.
    };
    let of_row = |row: &Vec<f64>| {
        let mut order: Vec<(f64, &Vec<f64>)> =
            rows.iter().map(|other| (distance(row, other), other)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let fill = |column: usize| {
            let near = order.iter().map(|(_, other)| other[column]).filter(|cell| !cell.is_nan());
            let near: Vec<f64> = near.take(NEIGHBORS).collect();
            let mean = near.iter().sum::<f64>() / near.len() as f64;
            if near.is_empty() { columns.means[column] } else { mean }
        };
        let cells = row.iter().enumerate();
        cells.map(|(column, &cell)| if cell.is_nan() { fill(column) } else { cell }).collect()
    };
    rows.iter().map(of_row).collect()
}
