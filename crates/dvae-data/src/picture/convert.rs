//! Channels, sides and orientation of pictures.

use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{ImageBuffer, Luma};

use super::Picture;
use crate::{Domain, Element, Numbers};

/// Gray as the three channels of a color picture, or a color picture in gray. A profile is dropped if the channels
/// change, because it is for the others.
pub(super) fn to_channels(picture: Picture, channels: usize) -> Picture {
    let [own, height, width] = picture.event;
    if own == channels {
        return picture;
    }
    let area = height * width;
    let numbers = match channels {
        1 => luma(&picture.numbers, area),
        _ => picture.numbers.at((0..3).flat_map(|_| 0..area)),
    };
    Picture { event: [channels, height, width], numbers, profile: None, ..picture }
}

/// The weights of Rec. ITU-R BT.709, in ten thousandths.
const WEIGHTS: [f64; 3] = [2126.0, 7152.0, 722.0];

fn luma(colors: &Numbers, area: usize) -> Numbers {
    let element = colors.element();
    let values = colors.values(Domain::Integers);
    let gray = |at: usize| {
        let terms = WEIGHTS.iter().enumerate();
        let sum: f64 = terms.map(|(channel, weight)| values[channel * area + at] * weight).sum();
        // Whole numbers are rounded down, as in the crate `image`.
        if element.is_whole() { (sum / 1e4).floor() } else { sum / 1e4 }
    };
    let gray: Vec<f64> = (0..area).map(gray).collect();
    Numbers::of_values(element, Domain::Integers, &gray)
}

/// The picture with these sides, by a triangle filter.
pub(super) fn resized(picture: Picture, event: [usize; 3]) -> Picture {
    let [_, height, width] = picture.event;
    if event[1..] == [height, width] {
        return picture;
    }
    let to = |numbers: &Numbers| {
        let planes = numbers.len() / (height * width);
        let planes = (0..planes)
            .map(|plane| numbers.at(plane * height * width..(plane + 1) * height * width));
        let mut out = Numbers::new(numbers.element(), vec![]);
        planes.for_each(|plane| out.extend(&resized_plane(&plane, [height, width], event)));
        out
    };
    let (numbers, alpha) = (to(&picture.numbers), picture.alpha.as_ref().map(to));
    Picture { event, numbers, alpha, ..picture }
}

fn resized_plane(plane: &Numbers, [height, width]: [usize; 2], event: [usize; 3]) -> Numbers {
    let [from, to] = [[width, height], [event[2], event[1]]].map(|sides| sides.map(|s| s as u32));
    match plane.element() {
        Element::U8 => {
            let image = ImageBuffer::<Luma<u8>, _>::from_raw(from[0], from[1], plane.as_bytes());
            let image = image.expect("as many pixels as the shape says");
            Numbers::from(resize(&image, to[0], to[1], FilterType::Triangle).into_raw())
        }
        Element::U16 => {
            let words: Vec<u16> =
                plane.values(Domain::Integers).into_iter().map(|value| value as u16).collect();
            let image = ImageBuffer::<Luma<u16>, _>::from_raw(from[0], from[1], words);
            let image = image.expect("as many pixels as the shape says");
            Numbers::from(&resize(&image, to[0], to[1], FilterType::Triangle).into_raw()[..])
        }
        element => {
            // The filter takes floats in [0, 1] only.
            let values = plane.values(Domain::Real);
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let scale = if high > low { high - low } else { 1.0 };
            let unit =
                values.iter().map(|value| ((value - low) / scale) as f32).collect::<Vec<_>>();
            let image = ImageBuffer::<Luma<f32>, _>::from_raw(from[0], from[1], unit);
            let image = image.expect("as many pixels as the shape says");
            let unit = resize(&image, to[0], to[1], FilterType::Triangle).into_raw();
            let values: Vec<f64> =
                unit.into_iter().map(|value| f64::from(value) * scale + low).collect();
            Numbers::of_values(element, Domain::Real, &values)
        }
    }
}

/// The shape of a picture that is turned upright.
pub(super) fn upright_event([channels, height, width]: [usize; 3], how: Orientation) -> [usize; 3] {
    match how {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => [channels, width, height],
        _ => [channels, height, width],
    }
}

/// The picture, turned as its metadata say.
pub(super) fn upright(picture: Picture, how: Orientation) -> Picture {
    if how == Orientation::NoTransforms {
        return picture;
    }
    let [_, height, width] = picture.event;
    let event = upright_event(picture.event, how);
    let columns = event[2];
    // Where the pixel of the result comes from.
    let source = |y: usize, x: usize| match how {
        Orientation::NoTransforms => (y, x),
        Orientation::FlipHorizontal => (y, width - 1 - x),
        Orientation::Rotate180 => (height - 1 - y, width - 1 - x),
        Orientation::FlipVertical => (height - 1 - y, x),
        Orientation::Rotate90 => (height - 1 - x, y),
        Orientation::Rotate270 => (x, width - 1 - y),
        Orientation::Rotate90FlipH => (x, y),
        Orientation::Rotate270FlipH => (height - 1 - x, width - 1 - y),
    };
    let turn = |numbers: &Numbers| {
        let planes = numbers.len() / (height * width);
        numbers.at((0..planes * height * width).map(|at| {
            let (plane, at) = (at / (height * width), at % (height * width));
            let (y, x) = source(at / columns, at % columns);
            plane * height * width + y * width + x
        }))
    };
    let (numbers, alpha) = (turn(&picture.numbers), picture.alpha.as_ref().map(turn));
    Picture { event, numbers, alpha, ..picture }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::DynamicImage;

    fn picture(event: [usize; 3]) -> Picture {
        let values: Vec<u8> = (0..event.iter().product::<usize>()).map(|v| v as u8 * 7).collect();
        Picture { event, numbers: Numbers::from(values), alpha: None, profile: None }
    }

    // The eight orientations, against the crate `image`, which knows what EXIF means by them.
    #[test]
    fn pictures_are_turned_as_exif_says() {
        let gray = picture([1, 2, 3]);
        for exif in 1..=8 {
            let how = Orientation::from_exif(exif).unwrap();
            let raw = gray.numbers.as_bytes().to_vec();
            let mut expected =
                DynamicImage::ImageLuma8(image::GrayImage::from_raw(3, 2, raw).unwrap());
            expected.apply_orientation(how);
            let turned = upright(gray.clone(), how);
            assert_eq!(turned.numbers.as_bytes(), expected.as_bytes(), "{exif}");
            let sides = [expected.height() as usize, expected.width() as usize];
            assert_eq!(turned.event[1..], sides, "{exif}");
        }
    }

    #[test]
    fn gray_and_color_become_each_other_and_sides_are_resized_plane_by_plane() {
        let color = to_channels(picture([1, 1, 2]), 3);
        assert_eq!((color.event, color.numbers.as_bytes()), ([3, 1, 2], &[0, 7, 0, 7, 0, 7][..]));
        let pixel = Numbers::from(vec![100u8, 50, 200]);
        let gray = to_channels(Picture { event: [3, 1, 1], numbers: pixel, ..color }, 1);
        // (100 · 2126 + 50 · 7152 + 200 · 722) / 10000 = 71.46
        assert_eq!(gray.numbers.as_bytes(), [71]);
        let small = resized(picture([3, 4, 4]), [3, 2, 2]);
        assert_eq!((small.event, small.numbers.len()), ([3, 2, 2], 12));
        let words = Numbers::from(&[0u16, 65535, 0, 65535][..]);
        let words = Picture { event: [1, 2, 2], numbers: words, alpha: None, profile: None };
        let wide = resized(words, [1, 1, 1]);
        assert_eq!(wide.numbers.values(Domain::Integers), [32768.0]);
    }
}
