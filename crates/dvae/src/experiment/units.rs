//! What a likelihood says about the entries of a row: whether they have units, whether they are classes, and whether they
//! lie in `[0, 1]`.

use dvae_distributions::LikelihoodConfig;

/// Whether entries at this place on the first axis of a row have a density, whose logarithm depends on units.
/// A count, a class or a level has a probability, which does not depend on any scale.
pub(super) fn is_density_at(likelihood: &LikelihoodConfig, place: usize) -> bool {
    use LikelihoodConfig as L;
    match likelihood.at(place) {
        None
        | Some(
            L::Bernoulli {}
            | L::DiscretizedLogistic { .. }
            | L::Categorical { .. }
            | L::Ordinal { .. }
            | L::Tokens { .. }
            | L::Poisson {}
            | L::NegativeBinomial { .. }
            | L::ZeroInflatedNegativeBinomial { .. },
        ) => false,
        Some(_) => true,
    }
}

/// Whether entries at this place on the first axis of a row are classes.
pub(super) fn is_class_at(likelihood: &LikelihoodConfig, place: usize) -> bool {
    likelihood.classes_at(place) > 0
}

/// Whether a likelihood is for whole numbers or levels at some place: a mean of several of them is none.
pub(super) fn is_discrete(likelihood: &LikelihoodConfig) -> bool {
    use LikelihoodConfig as L;
    match likelihood {
        L::Bernoulli {} => false, // It is used for any number in [0, 1].
        L::Columns { groups } => groups.iter().any(|group| is_discrete(&group.likelihood)),
        L::SelfMasking { of, .. } | L::Proportions { of, .. } => is_discrete(of),
        other => !is_density_at(other, 0),
    }
}

/// Whether a likelihood is for numbers in `[0, 1]` at all places.
pub(super) fn is_for_unit(likelihood: &LikelihoodConfig) -> bool {
    use LikelihoodConfig as L;
    match likelihood {
        L::Bernoulli {} | L::ContinuousBernoulli {} | L::DiscretizedLogistic { .. } => true,
        L::Columns { groups } => groups.iter().all(|group| is_for_unit(&group.likelihood)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_applies_to_densities_and_not_to_counts_or_classes() {
        let law = |json: &str| serde_json::from_str::<LikelihoodConfig>(json).unwrap();
        assert!(is_density_at(&law(r#"{"type": "normal", "scale": 0.1}"#), 0));
        assert!(!is_density_at(&law(r#"{"type": "poisson"}"#), 0));
        let columns = law(r#"{"type": "columns", "groups": [
            {"columns": 2, "likelihood": {"type": "shared-normal"}},
            {"columns": 1, "likelihood": {"type": "categorical", "classes": 3}}]}"#);
        let found: Vec<bool> = (0..4).map(|place| is_density_at(&columns, place)).collect();
        assert_eq!(found, [true, true, false, false]);
        let classes: Vec<bool> = (0..4).map(|place| is_class_at(&columns, place)).collect();
        assert_eq!(classes, [false, false, true, false]);
    }

    #[test]
    fn levels_and_counts_are_discrete() {
        let law = |json: &str| serde_json::from_str::<LikelihoodConfig>(json).unwrap();
        assert!(is_discrete(&law(r#"{"type": "poisson"}"#)));
        assert!(is_discrete(&law(r#"{"type": "discretized-logistic"}"#)));
        assert!(!is_discrete(&law(r#"{"type": "bernoulli"}"#)));
        assert!(!is_discrete(&law(r#"{"type": "learned-normal"}"#)));
    }

    #[test]
    fn all_columns_must_be_in_the_unit_interval() {
        let columns = |second: &str| {
            let json = format!(
                r#"{{"type": "columns", "groups": [
                {{"columns": 2, "likelihood": {{"type": "bernoulli"}}}},
                {{"columns": 1, "likelihood": {{"type": "{second}"}}}}]}}"#
            );
            serde_json::from_str::<LikelihoodConfig>(&json).unwrap()
        };
        assert!(is_for_unit(&columns("continuous-bernoulli")));
        assert!(!is_for_unit(&columns("poisson")) && !is_for_unit(&columns("shared-normal")));
    }
}
