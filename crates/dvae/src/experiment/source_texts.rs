//! Texts as the rows of an experiment.

use std::path::Path;

use dvae_checks::shown_path;
use dvae_corruption::TypoModel;
use dvae_data::{
    DataError, Dataset, Element, FileKind, TokenOptions, TokenRows, Vocabulary, read_texts,
};

use super::source::{SourceRows, keep_apart};
use super::{DataSource, ExperimentError, PreparedData};

impl DataSource {
    /// The rows of texts; with `earlier`, as wide and of the same tokens as before.
    pub(super) fn texts(
        &self,
        earlier: Option<&PreparedData>,
    ) -> Result<SourceRows, ExperimentError> {
        let Self::Text { path, test_path, column, .. } = self else {
            return Err(ExperimentError::Settings("the data are no texts".to_owned()));
        };
        if column.is_some() && FileKind::by_name(path) == Some(FileKind::Text) {
            let text = "`data.column` is for tables: the lines of a text file have no columns";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        let known = earlier
            .and_then(|earlier| Some((earlier.vocabulary.as_ref()?, *earlier.event.first()?)));
        let TokenRows { rows, vocabulary, mut left_out } = self.tokens(path, known)?;
        let known = Some((&vocabulary, rows.event()[0]));
        let test = test_path.as_ref().map(|path| self.tokens(path, known)).transpose()?;
        left_out += test.as_ref().map_or(0, |test| test.left_out);
        let test = test.map(|test| test.rows);
        keep_apart(&rows, test.as_ref())?;
        let vocabulary = Some(vocabulary);
        Ok(SourceRows { vocabulary, left_out, ..SourceRows::new(rows, test, Element::U16) })
    }

    /// What the pairs of wrong and right texts say of errors, if there are any.
    pub(super) fn typos(&self) -> Result<Option<TypoModel>, ExperimentError> {
        let Self::Text { typos: Some(path), .. } = self else { return Ok(None) };
        let bad = |reason: String| DataError::File { path: path.clone(), reason };
        let text =
            std::fs::read(path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        let text = String::from_utf8(text).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            bad(format!("line {line} is not UTF-8: save it as UTF-8"))
        })?;
        let model = TypoModel::from_lines(&text).map_err(|error| bad(error.to_string()))?;
        Ok(Some(model))
    }

    /// The rows of another file of texts, as wide and of the same tokens as those that `known` is of. An error says that some are longer, and
    /// how many: nothing is left out.
    pub(super) fn whole_tokens(
        &self,
        path: &Path,
        known: Option<(&Vocabulary, usize)>,
    ) -> Result<Dataset, ExperimentError> {
        let TokenRows { rows, left_out, .. } = self.tokens(path, known)?;
        match left_out {
            0 => Ok(rows),
            _ => Err(ExperimentError::Settings(format!(
                "{} has texts that are longer than rows of the model, {left_out} of them: take them out",
                shown_path(path)
            ))),
        }
    }

    /// The rows of a file of texts; with `known`, as wide and of the same tokens as those that it is of.
    fn tokens(
        &self,
        path: &Path,
        known: Option<(&Vocabulary, usize)>,
    ) -> Result<TokenRows, ExperimentError> {
        let Self::Text { column, unit, longest, least, .. } = self else {
            return Err(DataError::Kind { path: path.into() }.into());
        };
        let options = TokenOptions { unit: *unit, longest: *longest, least: *least };
        let column = column.as_deref().filter(|_| FileKind::by_name(path) != Some(FileKind::Text));
        let texts = read_texts(path, column, &self.options())?;
        Ok(TokenRows::read(path, texts, options, known)?)
    }
}
