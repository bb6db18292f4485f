//! Weight files for use elsewhere: safetensors files with the configuration in their metadata, and PyTorch
//! state dicts.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bytes, Tensor, TensorData};
use burn_store::{ModuleStore, PytorchStore};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::TrainError;
use crate::module_path::ModulePath;
use crate::run_folder::write_atomically;

/// The only key of the metadata. Several keys would have no fixed order, so equal weights could have
/// different bytes.
const CONFIG: &str = "config";

/// Saves the weights of a model under their names in it, with a configuration under `config` in the metadata.
///
/// The write is atomic: the file is either the old one or the new one.
pub fn save_weights<M: Module>(path: &Path, model: &M, config: &str) -> Result<(), TrainError> {
    let mut weights = Weights::default();
    model.visit(&mut weights);
    let views = weights.found.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("as many bytes as the shape says"))
    });
    let metadata = HashMap::from([(CONFIG.to_owned(), config.to_owned())]);
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| unusable(path, error.to_string()))?;
    write_atomically(path, &file)
}

/// Loads weights saved by [`save_weights`] into `model`; an error names what does not fit.
pub fn load_weights<M: Module>(path: &Path, model: M) -> Result<M, TrainError> {
    let bytes = read(path)?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|error| unusable(path, error.to_string()))?;
    let mut stored = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            let reason = format!("{name} is of {:?}, not F32", view.dtype());
            return Err(unusable(path, reason));
        }
        let entries = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let entries: Vec<f32> = entries.collect();
        stored.insert(name, TensorData::new(entries, view.shape().to_vec()));
    }
    fill(path, model, stored, false)
}

/// The configuration in a file of [`save_weights`]; `None` if another program wrote the file.
pub fn read_config(path: &Path) -> Result<Option<String>, TrainError> {
    let bytes = read(path)?;
    let (_, header) =
        SafeTensors::read_metadata(&bytes).map_err(|error| unusable(path, error.to_string()))?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(CONFIG).cloned()))
}

/// Loads a PyTorch state dict (`torch.save(module.state_dict(), path)`) into `model`. The module's parameters
/// must have the names that [`save_weights`] uses here.
///
/// PyTorch's conventions are handled: matrices of linear layers are transposed, because PyTorch stores
/// `[outputs, inputs]`, and the `weight` and `bias` of a normalization become its `scale` and `shift`.
pub fn import_state_dict<M: Module>(path: &Path, model: M) -> Result<M, TrainError> {
    fs::metadata(path).map_err(TrainError::io("read", path))?;
    let mut store = PytorchStore::from_file(path);
    let tensors = store.get_all_tensors().map_err(|error| unusable(path, error.to_string()))?;
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let bytes: Bytes =
            tensor.to_bytes().map_err(|error| unusable(path, format!("{name}: {error}")))?;
        let shape: Vec<usize> = tensor.shape.iter().copied().collect();
        let data = TensorData::from_bytes(bytes, shape, tensor.dtype);
        stored.insert(name.clone(), data.convert::<f32>());
    }
    fill(path, model, stored, true)
}

fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(TrainError::io("read", path))
}

fn unusable(path: &Path, reason: String) -> TrainError {
    TrainError::Weights { path: path.into(), reason }
}

/// Fills `model` with weights from `stored`; every weight must be found, and none may be left over.
fn fill<M: Module>(
    path: &Path,
    model: M,
    stored: BTreeMap<String, TensorData>,
    from_pytorch: bool,
) -> Result<M, TrainError> {
    let mut fill = Fill { stored, from_pytorch, path: ModulePath::default(), wrong: vec![] };
    let model = model.map(&mut fill);
    fill.wrong.extend(fill.stored.keys().map(|name| format!("the model has no {name}")));
    if fill.wrong.is_empty() {
        return Ok(model);
    }
    const SHOWN: usize = 4;
    let more = fill.wrong.len().saturating_sub(SHOWN);
    fill.wrong.truncate(SHOWN);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(unusable(path, format!("they do not fit this model: {}{more}", fill.wrong.join(", "))))
}

/// Collects (name, shape, little-endian bytes).
#[derive(Default)]
struct Weights {
    path: ModulePath,
    found: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let data = parameter.val().into_data();
        let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.found.push((self.path.name(), data.shape().to_vec(), bytes));
    }
}

struct Fill {
    stored: BTreeMap<String, TensorData>,
    from_pytorch: bool,
    path: ModulePath,
    wrong: Vec<String>,
}

impl Fill {
    /// The name under which the parameter is stored, and whether it is a matrix that is stored transposed.
    fn place(&self) -> (String, bool) {
        let name = self.path.name();
        if !self.from_pytorch {
            return (name, false);
        }
        let (layer, own) = name.rsplit_once('.').unwrap_or(("", &name));
        match (self.path.layer(), own) {
            (Some("Linear"), "weight") => (name, true),
            (Some("GroupNorm"), "scale") => (format!("{layer}.weight"), false),
            (Some("GroupNorm"), "shift") => (format!("{layer}.bias"), false),
            _ => (name, false),
        }
    }
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, turned) = self.place();
        let Some(data) = self.stored.remove(&name) else {
            self.wrong.push(format!("{name} is missing"));
            return parameter;
        };
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
