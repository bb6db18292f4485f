//! Back ends by name.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Burn back end.
///
/// ```
/// use dvae::Backend;
///
/// let device = "flex".parse::<Backend>()?.device()?;
/// assert!("gpu".parse::<Backend>().unwrap_err().to_string().contains("known are flex"));
/// # Ok::<(), dvae::BackendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Burn's own CPU back end: the default.
    Flex,
    /// The older CPU back end over `ndarray`.
    NdArray,
    /// Any GPU that wgpu finds, software adapters included.
    Wgpu,
    /// A GPU over Vulkan.
    Vulkan,
    /// A GPU over Apple's Metal.
    Metal,
    /// An NVIDIA GPU.
    Cuda,
    /// An AMD GPU.
    Rocm,
}

/// Why a back end cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// An unknown name.
    #[error("`{name}` is no back end; known are {}, and compiled in: {}", list(&Backend::ALL), list(&Backend::compiled()))]
    Unknown {
        /// The name.
        name: String,
    },
    /// A back end whose cargo feature is off.
    #[error("the back end `{backend}` is not compiled in: build with `--features {backend}` (compiled in: {})", list(&Backend::compiled()))]
    NotCompiled {
        /// The back end.
        backend: Backend,
    },
    /// A back end that finds no device, or cannot use it.
    #[error("the back end `{backend}` finds no usable device: {reason}")]
    NoDevice {
        /// The back end.
        backend: Backend,
        /// The back end's own message.
        reason: String,
    },
}

impl Backend {
    /// Every back end, compiled in or not.
    pub const ALL: [Self; 7] =
        [Self::Flex, Self::NdArray, Self::Wgpu, Self::Vulkan, Self::Metal, Self::Cuda, Self::Rocm];

    /// The back end's name, which is also the name of its cargo feature.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Whether the cargo feature is on.
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// The back ends that are compiled in.
    pub fn compiled() -> Vec<Self> {
        Self::ALL.into_iter().filter(|backend| backend.is_compiled()).collect()
    }

    /// The first back end that is compiled in: flex unless its feature is off.
    pub fn first() -> Option<Self> {
        Self::compiled().into_iter().next()
    }

    /// The default device, without autodiff; a missing device is an error, not a panic.
    pub fn device(self) -> Result<Device, BackendError> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            // Burn plans to drop it; until then it is a second CPU implementation to check against.
            Self::NdArray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => gpu::device(self, None),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => gpu::device(self, Some(burn::tensor::wgpu::WgpuBackend::Vulkan)),
            #[cfg(feature = "metal")]
            Self::Metal => gpu::device(self, Some(burn::tensor::wgpu::WgpuBackend::Metal)),
            #[cfg(feature = "cuda")]
            Self::Cuda => probe(self, || Device::cuda(0)),
            #[cfg(feature = "rocm")]
            Self::Rocm => probe(self, || Device::rocm(0)),
            #[allow(unreachable_patterns)] // With every feature on, nothing is left.
            _ => Err(BackendError::NotCompiled { backend: self }),
        }
    }
}

/// A device whose setup panics where there is no hardware: it is tried with one number.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn probe(backend: Backend, make: impl FnOnce() -> Device) -> Result<Device, BackendError> {
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let device = make();
        let _ = burn::tensor::Tensor::<1>::zeros([1], &device);
        device.sync().map(|()| device).map_err(|error| error.to_string())
    }));
    let reason = "its driver could not be set up".to_owned();
    tried.unwrap_or(Err(reason)).map_err(|reason| BackendError::NoDevice { backend, reason })
}

#[cfg(feature = "wgpu")]
mod gpu {
    use std::sync::Mutex;

    use burn::tensor::Device;
    use burn::tensor::wgpu::WgpuBackend;

    use super::{Backend, BackendError};

    /// Devices requested so far: Burn allows each one to be set up only once in a process.
    static DEVICES: Mutex<Vec<(Backend, Result<Device, BackendError>)>> = Mutex::new(Vec::new());

    pub(super) fn device(
        backend: Backend,
        api: Option<WgpuBackend>,
    ) -> Result<Device, BackendError> {
        let mut devices = DEVICES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, device)) = devices.iter().find(|(known, _)| *known == backend) {
            return device.clone();
        }
        let mut options = Device::wgpu_options();
        if let Some(api) = api {
            options = options.graphics_api(api);
        }
        let device = options.init().map_err(|error| {
            let reason = error.to_string();
            BackendError::NoDevice { backend, reason }
        });
        devices.push((backend, device.clone()));
        device
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    /// The back end of this name, compiled in or not; case is ignored.
    fn from_str(name: &str) -> Result<Self, BackendError> {
        let lower = name.to_lowercase();
        let known = Self::ALL.into_iter().find(|backend| backend.name() == lower);
        known.ok_or_else(|| BackendError::Unknown { name: name.to_owned() })
    }
}

fn list(backends: &[Backend]) -> String {
    backends.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_whatever_their_case() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().to_uppercase().parse(), Ok(backend));
        }
    }

    #[test]
    #[cfg(feature = "flex")]
    #[allow(deprecated)] // `burn-ndarray`, by Burn.
    fn the_packages_of_the_back_ends_are_those_that_burn_is_built_with() {
        assert_eq!(Device::from(crate::burn_flex::FlexDevice), Device::flex());
        #[cfg(feature = "ndarray")]
        assert_eq!(
            Device::from(crate::burn_ndarray::NdArrayDevice::Cpu),
            Backend::NdArray.device().unwrap()
        );
    }

    #[test]
    fn a_back_end_gives_a_device_or_says_why_not() {
        for backend in Backend::ALL {
            match backend.device() {
                Ok(_) => assert!(backend.is_compiled()),
                Err(error @ BackendError::NotCompiled { .. }) => {
                    assert!(!backend.is_compiled());
                    let how = format!("build with `--features {backend}`");
                    assert!(error.to_string().contains(&how), "{error}");
                }
                Err(error) => assert!(error.to_string().contains("no usable device"), "{error}"),
            }
        }
    }
}
