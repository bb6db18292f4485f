//! Images as rows.

mod convert;
mod decode;
mod encode;
mod jpeg;
mod png;
mod tiff;
mod transparency;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dvae_checks::contained;

use crate::format::Layout;
use crate::rows::Extra;
use crate::{DataError, Dataset, Domain, Element, Fit, Format, Numbers, ReadOptions, Row, Rows};

pub use encode::write_picture;
pub(crate) use encode::{PictureWriter, loses};
pub(crate) use transparency::{over_white, under_white};

/// A decoded image, upright: planes of 1 or 3 channels.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// `[channels, height, width]`.
    event: [usize; 3],
    numbers: Numbers,
    /// `[height, width]`, of the same type.
    alpha: Option<Numbers>,
    /// The ICC profile.
    profile: Option<Arc<[u8]>>,
}

/// What is known of an image before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Header {
    event: [usize; 3],
    element: Element,
}

/// Reads an image file as one row `[channels, height, width]`: 3 channels for color, 1 for gray, upright, and before
/// white where it is transparent.
///
/// An error names a file that cannot be read or is not such an image.
pub fn read_picture(path: &Path) -> Result<Dataset, DataError> {
    picture_rows(vec![path.into()], &ReadOptions::default())?.into_dataset(path)
}

/// Decodes the bytes of an image file as [`read_picture`] does; an error says what is wrong with them.
pub fn picture_row(bytes: &[u8]) -> Result<Dataset, String> {
    let picture = decode::picture(bytes)?;
    let (event, domain) = (picture.event, picture_domain(picture.numbers.element()));
    Dataset::from_numbers(picture.into_row(domain).into_numbers(), &event, domain)
        .map_err(|error| error.to_string())
}

/// Images of 8 and 16 bits show their whole range; others have any numbers.
pub(crate) fn picture_domain(element: Element) -> Domain {
    match element {
        Element::U8 | Element::U16 => Domain::Unit,
        other => other.domain(),
    }
}

impl Picture {
    fn into_row(self, domain: Domain) -> Row {
        let extra = Extra::Picture { alpha: self.alpha, profile: self.profile };
        Row { numbers: self.numbers, domain, extra }
    }
}

/// How images are brought to one shape.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// That of the first.
    AsTheFirst([usize; 3]),
    /// This shape: channels are converted, and sides resized.
    Resized([usize; 3]),
    /// This shape: channels are converted; an image with other sides is refused by its header.
    Model([usize; 3]),
    /// The sides of the first, and these channels, which are converted.
    Channels([usize; 3]),
}

impl Wanted {
    fn event(self) -> [usize; 3] {
        match self {
            Self::AsTheFirst(event)
            | Self::Resized(event)
            | Self::Model(event)
            | Self::Channels(event) => event,
        }
    }
}

/// Reads one row for each of these images, or several for one of several pages, converted as `options.fit` says.
///
/// Nothing is decoded before it is wanted: an image that cannot be used is refused by its header.
pub(crate) fn picture_rows(paths: Vec<PathBuf>, options: &ReadOptions) -> Result<Rows, DataError> {
    let first = paths.first().ok_or_else(|| DataError::NoPicture { path: PathBuf::new() })?;
    let bytes = read(first)?;
    let header = decode::header(&bytes).map_err(failed(first))?;
    let [_, height, width] = header.event;
    let wanted = match options.fit {
        Fit::Resized(shape) if is_possible(shape) => Wanted::Resized(shape),
        Fit::Resized(shape) => return Err(DataError::PictureShape { shape }),
        Fit::Model(ref event) => match event[..] {
            [channels @ (1 | 3), height, width] => Wanted::Model([channels, height, width]),
            _ => Wanted::AsTheFirst(header.event),
        },
        Fit::Channels(channels @ (1 | 3)) => Wanted::Channels([channels, height, width]),
        Fit::Channels(_) | Fit::Stored => Wanted::AsTheFirst(header.event),
    };
    let element = header.element;
    let domain = options.domain.unwrap_or(picture_domain(element));
    let event = wanted.event().to_vec();
    let format = Format { layout: Layout::Picture, ..Format::new(&event, element, domain) };
    let is_tiff = |path: &PathBuf| {
        path.extension()
            .is_some_and(|kind| kind.to_string_lossy().to_lowercase().starts_with("tif"))
    };
    let count = (!paths.iter().any(is_tiff)).then_some(paths.len());
    check_header(first, header, wanted, element)?;
    let reader = Reader { wanted, element, domain };
    let (mut paths, mut first) = (paths.into_iter(), Some(bytes));
    let mut pages: Option<Pages> = None;
    let rows = std::iter::from_fn(move || {
        loop {
            if let Some(row) = pages.as_mut().and_then(|pages| pages.next_row(&reader)) {
                return Some(row);
            }
            match Pages::open(paths.next()?, first.take(), &reader) {
                Ok(opened) => pages = Some(opened),
                Err(error) => return Some(Err(error)),
            }
        }
    });
    Ok(Rows::new(format, count, rows))
}

/// What every row becomes.
struct Reader {
    wanted: Wanted,
    element: Element,
    domain: Domain,
}

/// The images of a file.
struct Pages {
    path: PathBuf,
    pages: Box<dyn Iterator<Item = Result<Picture, String>> + Send>,
}

impl Pages {
    fn open(path: PathBuf, bytes: Option<Vec<u8>>, reader: &Reader) -> Result<Self, DataError> {
        let bytes = bytes.map_or_else(|| read(&path), Ok)?;
        let header = decode::header(&bytes).map_err(failed(&path))?;
        check_header(&path, header, reader.wanted, reader.element)?;
        let pages = decode::pages(bytes).map_err(failed(&path))?;
        Ok(Self { path, pages })
    }

    fn next_row(&mut self, reader: &Reader) -> Option<Result<Row, DataError>> {
        // A decoder that panics has come to no end that it could go on from.
        let page = contained(|| self.pages.next()).unwrap_or_else(|panic| Some(Err(panic)))?;
        Some(page.map_err(failed(&self.path)).and_then(|picture| {
            let header = Header { event: picture.event, element: picture.numbers.element() };
            check_header(&self.path, header, reader.wanted, reader.element)?;
            if picture.alpha.is_some() && reader.domain != Domain::Unit {
                let domain = reader.domain;
                return Err(failed(&self.path)(format!(
                    "it is transparent, but its values are {domain}"
                )));
            }
            if picture.numbers.has_infinite() {
                return Err(failed(&self.path)("it holds an infinite value".to_owned()));
            }
            let event = reader.wanted.event();
            let picture = convert::to_channels(picture, event[0]);
            Ok(convert::resized(picture, event).into_row(reader.domain))
        }))
    }
}

/// Refuses an image that cannot become what is wanted.
fn check_header(
    path: &Path,
    header: Header,
    wanted: Wanted,
    element: Element,
) -> Result<(), DataError> {
    let unlike = |advice| DataError::Unlike {
        path: path.into(),
        found: header.event.into(),
        expected: wanted.event().into(),
        advice,
    };
    match wanted {
        Wanted::AsTheFirst(event) if event != header.event => {
            return Err(unlike("give a shape that all are brought to (`data.image`)"));
        }
        Wanted::Channels([_, height, width]) if header.event[1..] != [height, width] => {
            return Err(unlike("take those of one size at a time"));
        }
        Wanted::Model([_, height, width]) if header.event[1..] != [height, width] => {
            return Err(DataError::ForModel {
                path: path.into(),
                found: header.event.into(),
                expected: wanted.event().into(),
            });
        }
        _ => {}
    }
    if header.element != element {
        let reason = format!(
            "its numbers are {}, but those of the pictures before it are {element}: put pictures of one \
             depth in a folder",
            header.element
        );
        return Err(DataError::File { path: path.into(), reason });
    }
    Ok(())
}

/// The longest picture that comes by a pipe.
const LONGEST: u64 = 256 << 20;

/// The whole file; of one whose length is not known, as much as it may have.
fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let most = if metadata.is_file() { metadata.len() } else { LONGEST };
    let mut bytes = vec![];
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        let reason = format!("it goes on after {most} bytes");
        return Err(DataError::Picture { path: path.into(), reason });
    }
    Ok(bytes)
}

fn failed(path: &Path) -> impl Fn(String) -> DataError {
    move |reason| DataError::Picture { path: path.into(), reason }
}

fn is_possible([channels, height, width]: [usize; 3]) -> bool {
    let sides = [height, width].iter().all(|side| (1..=usize::from(u16::MAX)).contains(side));
    matches!(channels, 1 | 3) && sides && channels * height * width <= 1 << 28
}
