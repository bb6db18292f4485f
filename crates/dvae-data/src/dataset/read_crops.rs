//! Pictures that rows are cut from, and their counterparts, read from files.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use dvae_random::Key;

use super::crops::{Cropped, Crops, Picture};
use super::pairs::{Inputs, Pairs, Scene};
use super::{Dataset, Draws};
use crate::budget::Budget;
use crate::{DataError, Domain, Element, FileKind, Fit, Numbers, ReadOptions, read_rows};

/// Pictures that were read so far.
pub(super) struct Reading {
    pub(super) crops: Crops,
    /// The numbers of all pictures, and what they are: as those of the first.
    pub(super) first: Option<(Numbers, Domain)>,
    pub(super) pictures: Vec<Picture>,
    /// The pictures that rows are cut from.
    pub(super) rows: Vec<u32>,
    pub(super) inputs: HashMap<u32, Inputs>,
}

impl Reading {
    fn len(&self) -> usize {
        self.first.as_ref().map_or(0, |(numbers, _)| numbers.len())
    }

    /// Adds the pictures of a file that rows are cut from.
    fn add_rows(&mut self, file: &Path, options: &ReadOptions) -> Result<(), DataError> {
        let pictures = self.add(file, options)?;
        self.rows.extend(pictures);
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
            let Picture { height, width, .. } = self.pictures[picture as usize];
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
            self.rows.push(picture);
            self.inputs.insert(picture, Inputs { pictures, are_targets: scene.clean.is_none() });
        }
        Ok(())
    }

    /// Adds the pictures of a file: one, or several pages.
    fn add(&mut self, file: &Path, options: &ReadOptions) -> Result<Range<u32>, DataError> {
        let before = self.pictures.len() as u32;
        let rows = read_rows(file, options)?;
        let (element, domain) = (rows.format.element, rows.format.domain);
        let bad = |reason| DataError::File { path: file.into(), reason };
        let [_, height, width] = self.crops.shape;
        let &[_, lines, columns] = &rows.format.event[..] else {
            return Err(bad("it is not a picture".to_owned()));
        };
        if lines < height || columns < width {
            return Err(bad(format!(
                "it has {lines} × {columns} pixels, fewer than the crops of {height} × {width}: take it out, or make \
                 `data.crops.shape` smaller"
            )));
        }
        let (numbers, _) =
            self.first.get_or_insert_with(|| (Numbers::new(element, vec![]), domain));
        if element != numbers.element() {
            return Err(bad(format!(
                "its numbers are {element}, but those of the pictures before it are {}: put pictures of one depth in a \
                 folder",
                numbers.element()
            )));
        }
        for row in rows {
            self.pictures.push(Picture { start: numbers.len(), height: lines, width: columns });
            numbers.extend(&row?.into_numbers());
        }
        Ok(before..self.pictures.len() as u32)
    }
}

impl Dataset {
    /// Reads the pictures of a folder, or one picture, of any sizes, whose crops are the rows: see [`Crops`]. With `pairs`,
    /// each row has a damaged counterpart: [`Self::damaged`]. The crops are drawn by `key`. Returns the type of the stored
    /// numbers as well.
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
        let mut reading =
            Reading { crops, first: None, pictures: vec![], rows: vec![], inputs: HashMap::new() };
        let budget = Budget::of_all(path);
        let bad = |reason| DataError::File { path: path.into(), reason };
        for scene in &scenes {
            match (&scene.clean, pairs) {
                (Some(clean), None) => reading.add_rows(clean, &options)?,
                _ => reading.add_scene(scene, &options)?,
            }
            budget.check_numbers(reading.len() as u128).map_err(bad)?;
        }
        let Some((numbers, domain)) = reading.first.take() else {
            return Err(bad("it holds no pictures".to_owned()));
        };
        let element = numbers.element();
        let rows = Self::cropped(numbers, reading, domain, key);
        Ok((rows.map_err(|error| bad(error.to_string()))?, element))
    }

    /// Rows of crops of pictures, whose numbers these are.
    pub(super) fn cropped(
        numbers: Numbers,
        Reading { crops, pictures, rows, inputs, .. }: Reading,
        domain: Domain,
        key: Key,
    ) -> Result<Self, DataError> {
        // One row of all numbers, whose checks do not depend on rows.
        let length = numbers.len();
        let whole = Self::from_numbers(numbers, &[length], domain)?;
        let area = crops.shape[1] * crops.shape[2];
        let of_picture = |at: u32| {
            let Picture { height, width, .. } = pictures[at as usize];
            let rows = (height * width + area / 2) / area;
            std::iter::repeat_n(at, rows.max(1))
        };
        let of_row: Vec<u32> = rows.into_iter().flat_map(of_picture).collect();
        let ids = (0..of_row.len() as u64).collect();
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
        Ok(Self { event: crops.shape.into(), ids, crops: Some(cropped), ..whole })
    }
}
