//! Pictures of one scene: what a model gets, and what it has to explain.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dataset;
use super::crops::Cropped;
use crate::{DataError, FileKind, ReadOptions, pictures_in};

/// Where measured damage comes from, in place of a law or before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pairs {
    /// For each clean picture a damaged one of the same name in another folder, whatever their endings are; or, to draw one
    /// of several in each epoch, a folder of that name with some.
    Damaged {
        /// The folder of the damaged pictures.
        path: PathBuf,
    },
    /// No picture is clean: each folder within the folder of the data holds shots of one scene, two at least. In each epoch
    /// one is the input, and the mean of the others is explained, whose noise has nothing to do with the input's. Deviations,
    /// intervals and signal-to-noise ratios are then about such means, and what is left of their noise.
    Shots {},
}

/// The pictures that the inputs of a scene are drawn from.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    /// The numbers of the pictures in the buffer.
    pub(super) pictures: Vec<u32>,
    /// Whether the target is the mean of those that are not the input.
    pub(super) are_targets: bool,
}

/// The files of a scene.
pub(super) struct Scene {
    /// The clean one, if there is one.
    pub(super) clean: Option<PathBuf>,
    pub(super) inputs: Vec<PathBuf>,
}

impl Pairs {
    /// The scenes of a folder. An error names a picture without a counterpart.
    pub(super) fn scenes(
        &self,
        folder: &Path,
        options: &ReadOptions,
    ) -> Result<Vec<Scene>, DataError> {
        let bad = |path: &Path, reason: String| DataError::File { path: path.into(), reason };
        if FileKind::of(folder)? != FileKind::Folder {
            return Err(bad(folder, "pairs of pictures need a folder".to_owned()));
        }
        match self {
            Self::Damaged { path } => {
                // A picture is left out with its counterparts.
                let names: Vec<PathBuf> =
                    options.leave_out.iter().map(|place| place.with_extension("")).collect();
                let is_left_out = |folder: &Path, file: &Path| {
                    let name = stem(folder, file);
                    names.iter().any(|other| *other == name || name.parent() == Some(other))
                };
                let mut files = pictures_in(path)?.files;
                files.retain(|file| !is_left_out(path, file));
                let mut named = grouped(&files, |file| stem(path, file));
                let mut within = grouped(&files, |file| {
                    stem(path, file).parent().map(Path::to_path_buf).unwrap_or_default()
                });
                let mut left: HashSet<PathBuf> = files.iter().cloned().collect();
                let mut clean = pictures_in(folder)?.files;
                clean.retain(|file| !is_left_out(folder, file));
                let scenes = clean.into_iter().map(|clean| {
                    let name = stem(folder, &clean);
                    let inputs = named.remove(&name).or_else(|| within.remove(&name));
                    let inputs = inputs.ok_or_else(|| {
                        let (name, path) = (name.display(), path.display());
                        bad(&clean, format!("there is no picture {name} in {path}, nor a folder of that name with pictures"))
                    })?;
                    inputs.iter().for_each(|input| {
                        left.remove(input);
                    });
                    Ok(Scene { clean: Some(clean), inputs })
                });
                let scenes: Vec<Scene> = scenes.collect::<Result<_, DataError>>()?;
                match left.into_iter().min() {
                    None => Ok(scenes),
                    Some(alone) => {
                        let folder = folder.display();
                        Err(bad(
                            &alone,
                            format!("there is no clean picture of its name in {folder}"),
                        ))
                    }
                }
            }
            Self::Shots {} => {
                let files = options.pictures_in(folder)?;
                let scenes = grouped(&files, |file| file.parent().unwrap_or(folder).into());
                let mut scenes: Vec<(PathBuf, Vec<PathBuf>)> = scenes.into_iter().collect();
                scenes.sort();
                let alone = scenes.iter().find(|(scene, shots)| shots.len() < 2 || scene == folder);
                if let Some((scene, shots)) = alone {
                    let reason = match scene == folder {
                        true => "it lies in no folder of its scene",
                        false => "it is the only shot of its scene: two are needed at least",
                    };
                    return Err(bad(&shots[0], reason.to_owned()));
                }
                let scene = |(_, inputs)| Scene { clean: None, inputs };
                Ok(scenes.into_iter().map(scene).collect())
            }
        }
    }
}

/// The place of a picture in its folder, without the ending.
fn stem(folder: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(folder).unwrap_or(file).with_extension("")
}

/// Files by a name that they share.
fn grouped(files: &[PathBuf], name: impl Fn(&Path) -> PathBuf) -> HashMap<PathBuf, Vec<PathBuf>> {
    let mut groups: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    for file in files {
        groups.entry(name(file)).or_default().push(file.clone());
    }
    groups
}

impl Dataset {
    /// What the model gets in place of these rows, shape `[ids, …event]`; `None` if the rows have no counterparts. Values
    /// that were not observed are 0.
    ///
    /// # Panics
    ///
    /// As [`Dataset::gather`].
    pub fn damaged<const D: usize>(&self, ids: &[u64], device: &Device) -> Option<Tensor<D>> {
        let crops = self.crops.as_ref().filter(|crops| crops.is_paired())?;
        let width = self.width();
        let mut out = vec![0.0f32; ids.len() * width];
        out.par_chunks_mut(width).with_min_len(8).zip(ids).for_each(|(out, &id)| {
            crops.input(id).copy(&self.values, out);
            out.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        });
        Some(Tensor::from_data(TensorData::new(out, self.batch_shape(ids)), device))
    }

    /// Whether the rows have damaged counterparts.
    pub fn is_paired(&self) -> bool {
        self.crops.as_ref().is_some_and(Cropped::is_paired)
    }

    /// The rows without their damaged counterparts.
    pub fn unpaired(&self) -> Self {
        let crops = self.crops.clone().map(Cropped::unpaired);
        Self { crops, ..self.clone() }
    }
}
