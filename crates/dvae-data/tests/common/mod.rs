//! Files with changed bytes.

use dvae_random::Key;

/// Changes, cuts, repeats or exchanges some bytes: the mutation of this number.
pub(crate) fn mutated(whole: &[u8], other: &[u8], number: u64) -> Vec<u8> {
    let random = Key::new(1).rows(&[number]).uniform_host(24);
    let below =
        |at: usize, end: usize| ((random[at] * end as f32) as usize).min(end.saturating_sub(1));
    let mut bytes = whole.to_vec();
    for change in 0..1 + below(0, 6) {
        let at = 2 + 3 * change;
        let place = below(at, bytes.len());
        let byte = below(at + 1, 256) as u8;
        match below(at + 2, 8) {
            0 => bytes.truncate(place),
            1 => bytes.insert(place.min(bytes.len()), byte),
            2 if !bytes.is_empty() => bytes[place] = [0, 0xff, 0x80, 0x7f][usize::from(byte) % 4],
            3 if !bytes.is_empty() => bytes[place] ^= 1 << (byte % 8),
            4 => bytes
                .splice(place..place, other[..other.len().min(usize::from(byte))].to_vec())
                .for_each(drop),
            _ if !bytes.is_empty() => bytes[place] = byte,
            _ => {}
        }
    }
    bytes
}
