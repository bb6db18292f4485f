//! Weight files for use elsewhere: safetensors files with the configuration in their metadata, and PyTorch
//! state dicts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bytes, Tensor, TensorData, bf16, f16};
use burn_store::{ModuleStore, PytorchStore};
use dvae_checks::{contained, shown};
use dvae_data::write_file;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use crate::TrainError;
use crate::module_path::ModulePath;
use crate::run_folder::{check_is_file, read_file};

/// The key of the configuration in the metadata.
const CONFIG: &str = "config";
/// The key of the settings of a model in PyTorch's layout.
const SETTINGS: &str = "settings";
/// The key of the checksum: CRC-32 of the configuration's text and the bytes of all weights, in hexadecimal.
const CHECKSUM: &str = "crc32";

/// Saves the weights of a model under their names in it, with a configuration under `config` in the metadata, and a
/// checksum of both under `crc32`.
///
/// The write is atomic: the file is either the old one or the new one. Equal weights have equal bytes.
///
/// In [`Precision::Half`] each weight is rounded to the nearest number of 16 bits; an error names one that is too large.
pub fn save_weights<M: Module>(
    path: &Path,
    model: &M,
    config: &str,
    precision: Precision,
) -> Result<(), TrainError> {
    write_weights(path, Weights { precision, ..Weights::default() }.of(model), &[(CONFIG, config)])
}

/// Saves the weights as [`import_state_dict`] reads them, in the layout and under the names of PyTorch, with `settings` under that key in
/// the metadata, and no checksum, so that a file that is changed there can keep them. It is a safetensors file, which
/// `safetensors.torch.load_file` reads as a state dict.
pub fn export_state_dict<M: Module>(
    path: &Path,
    model: &M,
    settings: &str,
) -> Result<(), TrainError> {
    let weights = Weights { layout: Layout::PyTorch, ..Weights::default() };
    write_weights(path, weights.of(model), &[(SETTINGS, settings)])
}

/// Writes a safetensors file of weights, with texts in its metadata.
fn write_weights(path: &Path, weights: Weights, texts: &[(&str, &str)]) -> Result<(), TrainError> {
    let (mut found, precision) = (weights.found, weights.precision);
    if let Some(name) = weights.too_large {
        let reason = format!("{} is too large for half precision", shown(&name));
        return Err(unusable(path, reason));
    }
    found.sort();
    let dtype = precision.dtype();
    let mut end = 0;
    let infos = found.iter().map(|(name, shape, bytes)| {
        let data_offsets = (end, end + bytes.len());
        end += bytes.len();
        (name.clone(), TensorInfo { dtype, shape: shape.clone(), data_offsets })
    });
    let wrong = |reason: &dyn std::fmt::Display| unusable(path, reason.to_string());
    let tensors = Metadata::new(None, infos.collect()).map_err(|error| wrong(&error))?;
    let bytes: Vec<u8> = found.into_iter().flat_map(|(_, _, bytes)| bytes).collect();
    // The library's own writer has no fixed order for several keys of the metadata.
    let mut metadata: BTreeMap<&str, String> =
        texts.iter().map(|&(key, text)| (key, text.to_owned())).collect();
    if let Some(config) = metadata.get(CONFIG) {
        metadata.insert(CHECKSUM, format!("{:08x}", checksum(config, &bytes)));
    }
    let header = serde_json::to_value(&tensors).and_then(|mut header| {
        header["__metadata__"] = serde_json::to_value(metadata)?;
        serde_json::to_vec(&header)
    });
    let mut header = header.map_err(|error| wrong(&error))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
    Ok(write_file(path, &file)?)
}

/// The numbers that weights are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: as they are.
    #[default]
    Single,
    /// 16 bits, of which 11 are digits.
    Half,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::Single => Dtype::F32,
            Self::Half => Dtype::F16,
        }
    }

    /// Little-endian bytes of numbers; `None` if one is too large.
    fn bytes(self, values: impl Iterator<Item = f32>) -> Option<Vec<u8>> {
        match self {
            Self::Single => Some(values.flat_map(f32::to_le_bytes).collect()),
            Self::Half => {
                let halves: Option<Vec<[u8; 2]>> = values
                    .map(|value| {
                        let half = f16::from_f32(value);
                        (half.is_finite() || !value.is_finite()).then(|| half.to_le_bytes())
                    })
                    .collect();
                halves.map(|halves| halves.concat())
            }
        }
    }
}

fn checksum(config: &str, weights: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(config.as_bytes());
    hasher.update(weights);
    hasher.finalize()
}

/// A safetensors file of weights.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    bytes: Vec<u8>,
    config: Option<String>,
    settings: Option<String>,
}

impl WeightFile {
    /// Reads a file. An error names one that is damaged: its checksum, if it has one, does not hold.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Self::from_bytes(path, read_file(path)?)
    }

    /// The same of the bytes of a file; errors name it by this path.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, TrainError> {
        let wrong = |error: safetensors::SafeTensorError| unusable(path, error.to_string());
        let (header, tensors) = SafeTensors::read_metadata(&bytes).map_err(wrong)?;
        let value = |key| tensors.metadata().as_ref().and_then(|all| all.get(key).cloned());
        let (config, settings, expected) = (value(CONFIG), value(SETTINGS), value(CHECKSUM));
        if let Some(expected) = expected {
            let weights = &bytes[header + 8..];
            let found = checksum(config.as_deref().unwrap_or_default(), weights);
            if format!("{found:08x}") != expected {
                return Err(unusable(
                    path,
                    "they are damaged: their checksum does not hold".into(),
                ));
            }
        }
        Ok(Self { path: path.into(), bytes, config, settings })
    }

    /// The configuration; `None` if another program wrote the file.
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// The settings of a model in PyTorch's layout; `None` if the file is another one.
    pub fn settings(&self) -> Option<&str> {
        self.settings.as_deref()
    }

    /// The precision that its weights are stored in.
    pub fn precision(&self) -> Precision {
        let header = SafeTensors::read_metadata(&self.bytes).ok();
        let is_half = header.is_some_and(|(_, tensors)| {
            tensors.tensors().values().any(|info| info.dtype == Dtype::F16)
        });
        if is_half { Precision::Half } else { Precision::Single }
    }

    /// The number of weights that a file of this length can hold.
    pub fn most_weights(&self) -> usize {
        self.bytes.len() / 2
    }

    /// Loads the weights into `model`; an error names what does not fit, and a weight that is not finite.
    pub fn load<M: Module>(&self, model: M) -> Result<M, TrainError> {
        if self.settings.is_some() {
            let reason = "they are in PyTorch's layout: `dvae import` reads them".to_owned();
            return Err(unusable(&self.path, reason));
        }
        fill(&self.path, model, self.tensors()?, Layout::Own)
    }

    /// The tensors under their names.
    fn tensors(&self) -> Result<BTreeMap<String, TensorData>, TrainError> {
        let path = &self.path;
        let file = SafeTensors::deserialize(&self.bytes);
        let file = file.map_err(|error| unusable(path, error.to_string()))?;
        let mut stored = BTreeMap::new();
        for (name, view) in file.tensors() {
            let entries: Vec<f32> = match view.dtype() {
                Dtype::F32 => {
                    let entries = view.data().as_chunks::<4>().0.iter();
                    entries.map(|bytes| f32::from_le_bytes(*bytes)).collect()
                }
                Dtype::F16 => {
                    let entries = view.data().as_chunks::<2>().0.iter();
                    entries.map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
                }
                Dtype::BF16 => {
                    let entries = view.data().as_chunks::<2>().0.iter();
                    entries.map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()
                }
                Dtype::F64 => {
                    let entries = view.data().as_chunks::<8>().0.iter();
                    entries.map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
                }
                other => {
                    let reason = format!("{} is of {other:?}, not of floats", shown(&name));
                    return Err(unusable(path, reason));
                }
            };
            stored.insert(name, TensorData::new(entries, view.shape().to_vec()));
        }
        Ok(stored)
    }
}

/// Loads weights saved by [`save_weights`] into `model`: [`WeightFile::load`].
pub fn load_weights<M: Module>(path: &Path, model: M) -> Result<M, TrainError> {
    WeightFile::open(path)?.load(model)
}

/// Loads a PyTorch state dict (`torch.save(module.state_dict(), path)`, or `safetensors.torch.save_file` of it for a `path` that ends in
/// `.safetensors`) into `model`. The module's parameters must have the names that [`save_weights`] uses here.
///
/// PyTorch's conventions are handled: matrices of linear layers are transposed, because PyTorch stores
/// `[outputs, inputs]`, and the `weight` and `bias` of a normalization become its `scale` and `shift`.
pub fn import_state_dict<M: Module>(path: &Path, model: M) -> Result<M, TrainError> {
    check_is_file(path)?;
    let is_safe = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("safetensors"));
    let stored = match is_safe {
        true => {
            let file = WeightFile::open(path)?;
            if file.config.is_some() {
                let reason =
                    "it is no state dict of PyTorch, but a model of this program".to_owned();
                return Err(unusable(path, reason));
            }
            file.tensors()
        }
        // The reader is not made for files of strangers.
        false => contained(|| state_dict(path)).map_err(|panic| unusable(path, panic)).flatten(),
    };
    fill(path, model, stored?, Layout::PyTorch)
}

fn state_dict(path: &Path) -> Result<BTreeMap<String, TensorData>, TrainError> {
    let mut store = PytorchStore::from_file(path);
    let tensors = store.get_all_tensors().map_err(|error| unusable(path, error.to_string()))?;
    // A view may repeat what the file has once.
    let length = std::fs::metadata(path).map_err(TrainError::io("read", path))?.len();
    let numbers = tensors.values().map(|tensor| {
        tensor.shape.iter().fold(1u128, |product, &axis| product.saturating_mul(axis as u128))
    });
    if numbers.fold(0, u128::saturating_add) > u128::from(length) {
        return Err(unusable(path, "its tensors claim more numbers than it holds".to_owned()));
    }
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let wrong =
            |error: &dyn std::fmt::Display| unusable(path, format!("{}: {error}", shown(name)));
        let bytes: Bytes = tensor.to_bytes().map_err(|error| wrong(&error))?;
        let shape: Vec<usize> = tensor.shape.iter().copied().collect();
        let data = TensorData::from_bytes(bytes, shape, tensor.dtype);
        stored.insert(name.clone(), data.convert::<f32>());
    }
    Ok(stored)
}

fn unusable(path: &Path, reason: String) -> TrainError {
    TrainError::Weights { path: path.into(), reason }
}

/// Fills `model` with weights from `stored`; every weight must be found, and none may be left over.
fn fill<M: Module>(
    path: &Path,
    model: M,
    stored: BTreeMap<String, TensorData>,
    layout: Layout,
) -> Result<M, TrainError> {
    let mut fill = Fill { stored, layout, path: ModulePath::default(), wrong: vec![] };
    let model = model.map(&mut fill);
    fill.wrong.extend(fill.stored.keys().map(|name| format!("the model has no {}", shown(name))));
    if fill.wrong.is_empty() {
        return Ok(model);
    }
    const SHOWN: usize = 4;
    let more = fill.wrong.len().saturating_sub(SHOWN);
    fill.wrong.truncate(SHOWN);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(unusable(path, format!("they do not fit this model: {}{more}", fill.wrong.join(", "))))
}

/// How weights are laid out and named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Layout {
    /// As they are here.
    #[default]
    Own,
    /// As in a state dict of PyTorch.
    PyTorch,
}

impl Layout {
    /// The name under which the parameter at this place is stored, and whether it is a matrix that is stored transposed.
    fn place(self, path: &ModulePath) -> (String, bool) {
        let name = path.name();
        if self == Self::Own {
            return (name, false);
        }
        let (layer, own) = name.rsplit_once('.').unwrap_or(("", &name));
        match (path.layer(), own) {
            (Some("Linear"), "weight") => (name, true),
            (Some("GroupNorm"), "scale") => (format!("{layer}.weight"), false),
            (Some("GroupNorm"), "shift") => (format!("{layer}.bias"), false),
            _ => (name, false),
        }
    }
}

/// Collects (name, shape, little-endian bytes).
#[derive(Default)]
struct Weights {
    path: ModulePath,
    precision: Precision,
    layout: Layout,
    found: Vec<(String, Vec<usize>, Vec<u8>)>,
    /// A parameter with a number that the precision cannot hold.
    too_large: Option<String>,
}

impl Weights {
    fn of<M: Module>(mut self, model: &M) -> Self {
        model.visit(&mut self);
        self
    }
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let (name, is_transposed) = self.layout.place(&self.path);
        let value = parameter.val();
        let value = if is_transposed { value.transpose() } else { value };
        let data = value.into_data();
        match self.precision.bytes(data.iter::<f32>()) {
            Some(bytes) => self.found.push((name, data.shape().to_vec(), bytes)),
            None => self.too_large = Some(name),
        }
    }
}

struct Fill {
    stored: BTreeMap<String, TensorData>,
    layout: Layout,
    path: ModulePath,
    wrong: Vec<String>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, turned) = self.layout.place(&self.path);
        let Some(data) = self.stored.remove(&name) else {
            self.wrong.push(format!("{name} is missing"));
            return parameter;
        };
        if data.iter::<f32>().any(|value| !value.is_finite()) {
            self.wrong.push(format!("{name} holds values that are not finite"));
            return parameter;
        }
        let mut expected = parameter.val().dims();
        if turned {
            expected.reverse();
        }
        if data.shape()[..] != expected {
            let found = data.shape().to_vec();
            self.wrong.push(format!("{name} is {found:?}, not {expected:?}"));
            return parameter;
        }
        parameter.map(|old| {
            let device = old.device();
            let stored = Tensor::from_data(data, &device);
            if turned { stored.transpose() } else { stored }
        })
    }
}
