//! Characters that look alike, as recognition of printed text takes one for another.

/// Groups of texts that look alike; each may be taken for any other of its group.
const GROUPS: [&[&str]; 19] = [
    &["0", "O", "o", "Q"],
    &["1", "l", "I", "i", "!"],
    &["2", "Z", "z"],
    &["5", "S", "s"],
    &["6", "G", "b"],
    &["8", "B"],
    &["9", "g", "q"],
    &["m", "rn"],
    &["d", "cl"],
    &["w", "vv"],
    &["u", "v"],
    &["e", "c"],
    &["h", "b"],
    &["f", "t"],
    &["n", "ri"],
    &["U", "V"],
    &["E", "F"],
    &["D", "O"],
    &[".", ","],
];

/// What the beginning of a text may be taken for: how many bytes of it, and the other text.
pub(super) fn look_alikes(text: &str) -> Vec<(usize, &'static str)> {
    let alike = |group: &'static [&'static str]| {
        let own = group.iter().filter(|own| text.starts_with(**own));
        own.flat_map(move |own| {
            let others = group.iter().filter(move |other| *other != own);
            others.map(move |other| (own.len(), *other))
        })
    };
    GROUPS.into_iter().flat_map(alike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_taken_for_each_other_however_many_letters_it_has() {
        assert_eq!(look_alikes("mad"), [(1, "rn")]);
        assert_eq!(look_alikes("rnad"), [(2, "m")]);
        assert_eq!(look_alikes("clad"), [(2, "d"), (1, "e")]);
        assert_eq!(look_alikes("cad"), [(1, "e")]);
        assert_eq!(look_alikes("8"), [(1, "B")]);
        assert_eq!(look_alikes("жар"), []);
    }
}
