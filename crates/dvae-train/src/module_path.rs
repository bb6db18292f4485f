//! The path of a parameter within a model.

/// The path to a parameter while a model is visited. Enum variants are not part of a name, because a model
/// has only one of them.
#[derive(Debug, Default)]
pub(crate) struct ModulePath {
    /// (name, container)
    entered: Vec<(String, String)>,
}

impl ModulePath {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.entered.push((name.to_owned(), container.to_owned()));
    }

    pub(crate) fn exit(&mut self) {
        self.entered.pop();
    }

    /// The parameter's name, such as `network.encoder.0.weight`.
    pub(crate) fn name(&self) -> String {
        let named = self.entered.iter().filter(|(_, container)| !container.starts_with("Enum:"));
        named.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// The type of the layer that the parameter is a field of.
    pub(crate) fn layer(&self) -> Option<&str> {
        self.entered.iter().rev().find_map(|(_, container)| container.strip_prefix("Struct:"))
    }
}
