//! Pictures that rows are cut from, and their counterparts, read from files.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use dvae_random::Key;

use super::crops::{Cropped, Crops, Picture};
use super::pairs::{Inputs, Pairs, Scene};
use super::{Dataset, Draws};
use crate::budget::Budget;
use crate::values::ValuesWriter;
use crate::{DataError, Domain, Element, FileKind, Fit, ReadOptions, read_rows};

/// Where pictures lie in a buffer, and which rows are cut from.
pub(super) struct Layout {
    pub(super) crops: Crops,
    pub(super) pictures: Vec<Picture>,
    /// The pictures that rows are cut from.
    pub(super) rows: Vec<u32>,
    pub(super) inputs: HashMap<u32, Inputs>,
    /// Bytes of pictures that are held in memory.
    pub(super) memory: u64,
}

/// The numbers of all pictures, and what they are: as those of the first.
struct Pixels {
    values: ValuesWriter,
    element: Element,
    domain: Domain,
}

/// Pictures that were read so far.
struct Reading {
    layout: Layout,
    /// None before the first.
    pixels: Option<Pixels>,
}

impl Reading {
    fn len(&self) -> usize {
        self.pixels.as_ref().map_or(0, |pixels| pixels.values.len())
    }

    /// Adds the pictures of a file that rows are cut from.
    fn add_rows(&mut self, file: &Path, options: &ReadOptions) -> Result<(), DataError> {
        let pictures = self.add(file, options)?;
        self.layout.rows.extend(pictures);
        Ok(())
    }

    /// Adds the pictures of a scene: of each page of its files.
    fn add_scene(&mut self, scene: &Scene, options: &ReadOptions) -> Result<(), DataError> {
        let clean = match &scene.clean {
            Some(clean) => Some((clean, self.add(clean, options)?)),
            None => None,
        };
        let mut of_inputs = vec![];
        for input in &scene.inputs {
            of_inputs.push(self.add(input, options)?);
        }
        let (file, pages) = match (clean, of_inputs.first()) {
            (Some(clean), _) => clean,
            (None, first) => (&scene.inputs[0], first.cloned().unwrap_or_default()),
        };
        let sides = |picture: u32| {
            let Picture { height, width, .. } = self.layout.pictures[picture as usize];
            [height, width]
        };
        for (input, pictures) in scene.inputs.iter().zip(&of_inputs) {
            let all = |pages: &Range<u32>| pages.clone().map(sides).collect::<Vec<_>>();
            let (own, other) = (all(pictures), all(&pages));
            if own != other {
                let reason = format!(
                    "its pictures have sides {own:?}, but those of its scene in {} have {other:?}",
                    file.display()
                );
                return Err(DataError::File { path: input.clone(), reason });
            }
        }
        for (page, picture) in pages.enumerate() {
            let pictures = of_inputs.iter().map(|of| of.start + page as u32).collect();
            self.layout.rows.push(picture);
            let inputs = Inputs { pictures, are_targets: scene.clean.is_none() };
            self.layout.inputs.insert(picture, inputs);
        }
        Ok(())
    }

    /// Adds the pictures of a file: one, or several pages.
    fn add(&mut self, file: &Path, options: &ReadOptions) -> Result<Range<u32>, DataError> {
        let before = self.layout.pictures.len() as u32;
        let rows = read_rows(file, options)?;
        let (element, domain) = (rows.format.element, rows.format.domain);
        let bad = |reason| DataError::File { path: file.into(), reason };
        let [_, height, width] = self.layout.crops.shape;
        let &[_, lines, columns] = &rows.format.event[..] else {
            return Err(bad("it is not a picture".to_owned()));
        };
        if lines < height || columns < width {
            return Err(bad(format!(
                "it has {lines} × {columns} pixels, fewer than the crops of {height} × {width}: take it out, or make \
                 `data.crops.shape` smaller"
            )));
        }
        let memory = self.layout.memory;
        let first = || {
            let values = ValuesWriter::of(element, domain, memory);
            Pixels { values, element, domain }
        };
        let pixels = self.pixels.get_or_insert_with(first);
        if element != pixels.element {
            return Err(bad(format!(
                "its numbers are {element}, but those of the pictures before it are {}: put pictures of one depth in a \
                 folder",
                pixels.element
            )));
        }
        for (page, row) in rows.enumerate() {
            let picture = Picture { start: pixels.values.len(), height: lines, width: columns };
            self.layout.pictures.push(picture);
            let numbers = row?.into_numbers();
            if let Some((_, value)) = numbers.first_beyond_double() {
                return Err(bad(DataError::Digits { row: page, value }.to_string()));
            }
            pixels.values.numbers(numbers, domain).map_err(DataError::temporary)?;
        }
        Ok(before..self.layout.pictures.len() as u32)
    }
}

impl Layout {
    /// Rows of crops of the pictures, whose numbers are in this buffer.
    pub(super) fn rows_of(self, whole: Dataset, key: Key) -> Dataset {
        let Self { crops, pictures, rows, inputs, memory } = self;
        let area = crops.shape[1] * crops.shape[2];
        let of_picture = |at: u32| {
            let Picture { height, width, .. } = pictures[at as usize];
            let rows = (height * width + area / 2) / area;
            std::iter::repeat_n(at, rows.max(1))
        };
        let of_row: Vec<u32> = rows.into_iter().flat_map(of_picture).collect();
        let ids = crate::ids::Ids::First(of_row.len());
        let draws = Draws { root: key, now: key };
        let is_paired = !inputs.is_empty();
        let cropped = Cropped {
            crops,
            pictures: pictures.into(),
            of_row: of_row.into(),
            draws,
            inputs: inputs.into(),
            is_paired,
        };
        Dataset { event: crops.shape.into(), ids, crops: Some(cropped), memory, ..whole }
    }
}

impl Dataset {
    /// Reads the pictures of a folder, or one picture, of any sizes, whose crops are the rows: see [`Crops`]. With `pairs`,
    /// each row has a damaged counterpart: [`Self::damaged`]. The crops are drawn by `key`. Returns the type of the stored
    /// numbers as well. Pictures of more than [`ReadOptions::memory`] bytes are kept in a file without a name, in the folder
    /// for temporary files, and are read from there when they are needed.
    ///
    /// An error names a picture that is smaller than a crop, or of another depth than those before it, or one whose
    /// counterpart is missing or has another size.
    pub fn read_crops(
        path: &Path,
        options: &ReadOptions,
        crops: Crops,
        pairs: Option<&Pairs>,
        key: Key,
    ) -> Result<(Self, Element), DataError> {
        crops.check()?;
        let alone = |clean| Scene { clean: Some(clean), inputs: vec![] };
        let scenes: Vec<Scene> = match (FileKind::of(path)?, pairs) {
            (_, Some(pairs)) => pairs.scenes(path, options)?,
            (FileKind::Folder, None) => options.pictures_in(path)?.into_iter().map(alone).collect(),
            (FileKind::Picture, None) => vec![alone(path.into())],
            _ => return Err(DataError::Kind { path: path.into() }),
        };
        let options = ReadOptions { fit: Fit::Channels(crops.shape[0]), ..options.clone() };
        let (pictures, rows, inputs) = (vec![], vec![], HashMap::new());
        let memory = options.memory.unwrap_or(u64::MAX);
        let layout = Layout { crops, pictures, rows, inputs, memory };
        let mut reading = Reading { layout, pixels: None };
        let budget = Budget::of_all(path);
        let bad = |reason| DataError::File { path: path.into(), reason };
        for scene in &scenes {
            match (&scene.clean, pairs) {
                (Some(clean), None) => reading.add_rows(clean, &options)?,
                _ => reading.add_scene(scene, &options)?,
            }
            budget.check_numbers(reading.len() as u128).map_err(bad)?;
        }
        let length = reading.len();
        let Reading { layout, pixels: Some(Pixels { values, element, domain }) } = reading else {
            return Err(bad("it holds no pictures".to_owned()));
        };
        // One row of all numbers, whose checks do not depend on rows.
        let is_declared = domain != element.domain();
        let whole = Self::from_values(values.finish(), &[length], domain, is_declared);
        let whole = whole.map_err(|error| bad(error.to_string()))?;
        Ok((layout.rows_of(whole, key), element))
    }
}
