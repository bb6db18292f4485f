//! Outputs: what may not be overwritten, and files of rows that a model makes of itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use dvae::data::{Domain, Element, FileKind, Format, RowWriter, files_of, write_file};
use dvae::eval::Grid;
use dvae::prelude::*;
use dvae::{Experiment, Pretrained};

use crate::Error;

/// An error if an output is one of the inputs.
pub(crate) fn keep_inputs<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Error> {
    let inputs: HashSet<PathBuf> =
        inputs.into_iter().filter_map(|input| input.canonicalize().ok()).collect();
    for output in outputs {
        if output.canonicalize().is_ok_and(|output| inputs.contains(&output)) {
            return Err(
                format!("{} would be overwritten: choose another -o", output.display()).into()
            );
        }
    }
    Ok(())
}

/// An error if an output is one of the files of an experiment's data, or in their folder.
pub(crate) fn keep_data<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    experiment: &Experiment,
) -> Result<(), Error> {
    let paths = experiment.data.source.paths();
    let files = paths.into_iter().flat_map(|path| files_of(path).unwrap_or_default());
    let data: Vec<PathBuf> = files.filter_map(|path| path.canonicalize().ok()).collect();
    for output in outputs {
        let is_data = |output: PathBuf| data.iter().any(|data| output.starts_with(data));
        if output.canonicalize().is_ok_and(is_data) {
            let output = output.display();
            return Err(format!(
                "{output} belongs to the data of the experiment: choose another -o"
            )
            .into());
        }
    }
    Ok(())
}

/// The format of a file of rows that a model makes of itself: floats, in the model's own marks if it is a table, and
/// grids of 8 bits if it is a picture. Columns have the names of the model's table, or `x0`, `x1`, ….
pub(crate) fn format_of(model: &Pretrained, path: &Path) -> Format {
    let data = model.data();
    let own = data.element.unwrap_or(Element::F32);
    let element = match FileKind::by_name(path) {
        Some(FileKind::Table) => Element::F64,
        _ if own.fits_single() => Element::F32,
        _ => Element::F64,
    };
    let options = model.read_options();
    let width: usize = model.event().iter().product();
    let has_header = !options.no_header;
    let numbered = || (0..width).map(|at| format!("x{at}")).collect();
    let names = has_header.then(|| data.columns.clone().unwrap_or_else(numbered));
    let format = Format::new(model.event(), element, data.domain).named(names);
    let format = match &data.kinds {
        Some(columns) => format.by_kind(columns),
        None => format,
    };
    format.marked(options.delimiter, options.decimal)
}

/// Draws rows of images as a picture, `columns` in a line; an error if they are not images.
fn grid(rows: &[(String, Vec<Vec<f64>>)], format: &Format) -> Result<Grid, Error> {
    let event = &format.event;
    let (&[channels, height, width], Domain::Unit) = (&event[..], format.domain) else {
        let domain = format.domain;
        return Err(format!(
            "rows of shape {event:?} that are {domain} are not pictures: choose an output that ends in .npy or .csv"
        )
        .into());
    };
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut grid = Grid::new();
    for (label, images) in rows {
        let shape = [images.len(), channels, height, width];
        let values: Vec<f32> = images.iter().flatten().map(|&value| value as f32).collect();
        let values = dvae::burn::tensor::TensorData::new(values, shape);
        grid = grid.row(label, Tensor::from_data(values, &device));
    }
    Ok(grid)
}

/// Writes a command's result to the requested file: images as one picture, or rows as an array or a table.
pub(crate) fn write_rows(
    path: &Path,
    labeled: &[(String, Vec<Vec<f64>>)],
    model: &Pretrained,
) -> Result<(), Error> {
    let format = format_of(model, path);
    if FileKind::by_name(path) == Some(FileKind::Picture) {
        check_png(path)?;
        return Ok(write_file(path, &grid(labeled, &format)?.png())?);
    }
    let mut writer = RowWriter::create(path, &format)?;
    for row in labeled.iter().flat_map(|(_, rows)| rows) {
        writer.write(&format.row(row))?;
    }
    Ok(writer.finish()?)
}

/// An error if the name of a drawn picture does not end in .png.
pub(crate) fn check_png(path: &Path) -> Result<(), Error> {
    if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("png")) {
        return Ok(());
    }
    Err(format!(
        "{}: such a picture is written as PNG: choose a name that ends in .png",
        path.display()
    )
    .into())
}

/// A number of things: `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
