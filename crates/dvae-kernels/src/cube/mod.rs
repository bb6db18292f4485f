//! Random tensors made on the device that needs them: only the ids of the rows are uploaded.

mod philox;

#[cfg(not(feature = "fusion"))]
use std::any::Any;
use std::any::TypeId;

use burn::backend::cubecl::dtype_to_elem_type;
use burn::backend::{BackendTypes, DispatchDevice};
use burn::tensor::{Bool, DType, Device, FloatDType, Shape, Tensor, kind};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::{CubeDim, CubeElement};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeDevice};

use crate::streams::KeyedDraw;
pub(crate) use philox::Variate;

/// Burn's tensor handle of a CubeCL back end: one type for floats and bools.
type Primitive = <Cube as BackendTypes>::FloatTensorPrimitive;

pub(crate) fn floats<const D: usize>(
    variate: Variate,
    stream: &KeyedDraw,
    shape: &Shape,
    device: &Device,
) -> Option<Tensor<D>> {
    if device.settings().float_dtype != FloatDType::F32 || shape.num_dims() != D {
        return None;
    }
    let primitive = fill(variate, 0, DType::F32, stream, shape, device)?;
    Some(in_context(Tensor::<D>::from_primitive::<Cube>(primitive), device))
}

pub(crate) fn bernoulli<const D: usize>(
    threshold: u64,
    stream: &KeyedDraw,
    shape: &Shape,
    device: &Device,
) -> Option<Tensor<D, Bool>> {
    if shape.num_dims() != D {
        return None;
    }
    // The largest word that counts as true; there is none at a threshold of 0.
    let limit = u32::try_from(threshold.checked_sub(1)?).unwrap_or(u32::MAX);
    let dtype = device.settings().bool_dtype.into();
    let primitive = fill(Variate::Bernoulli, limit, dtype, stream, shape, device)?;
    Some(in_context(Tensor::<D, Bool>::from_primitive::<Cube>(primitive), device))
}

/// `None` on another back end, and where the kernel's 32-bit counts are too small.
fn fill(
    variate: Variate,
    limit: u32,
    dtype: DType,
    stream: &KeyedDraw,
    shape: &Shape,
    device: &Device,
) -> Option<Primitive> {
    let plain = device.clone().without_autodiff();
    let DispatchDevice::Cube(device) = plain.as_dispatch() else { return None };
    let (ids, elements) = (stream.ids, shape.num_elements());
    assert_eq!(shape[0], ids.len(), "axis 0 of a draw of shape {shape:?} is its rows");
    // If another crate of the build enables fusion, the types differ.
    let known = cfg!(feature = "fusion") || TypeId::of::<Primitive>() == TypeId::of::<CubeTensor>();
    if elements == 0 || !known || !crate::enabled() {
        return None;
    }
    let row_len = elements / ids.len();
    let counters = 16 * row_len.div_ceil(64);
    let units = ids.len() * counters;
    if elements.max(units) > i32::MAX as usize {
        return None;
    }

    let client = device.client();
    let contiguous = |shape, handle, dtype| {
        CubeTensor::new_contiguous(client.clone(), device.clone(), shape, handle, dtype)
    };
    let words: Vec<u32> = ids.iter().flat_map(|&id| [id as u32, (id >> 32) as u32]).collect();
    let rows = client.create_from_slice(u32::as_bytes(&words));
    let rows = contiguous(Shape::new([words.len()]), rows, DType::U32);
    let output = contiguous(shape.clone(), client.empty(elements * dtype.size()), dtype);
    let cube_dim = CubeDim::new(&client, units);
    philox::fill::launch(
        &client,
        calculate_cube_count_elemwise(&client, units, cube_dim),
        cube_dim,
        rows.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        stream.key[0],
        stream.key[1],
        stream.draw,
        row_len as u32,
        counters as u32,
        units as u32,
        limit,
        variate,
        dtype_to_elem_type(dtype),
    );
    primitive(device, output)
}

/// With fusion, a finished tensor enters the graph like data from the host.
#[cfg(feature = "fusion")]
fn primitive(device: &CubeDevice, tensor: CubeTensor) -> Option<Primitive> {
    use burn::backend::fusion::{NoOp, get_client};
    use burn::backend::ir::{BackendIr, InitOperationIr, OperationIr, OperationOutput};
    use burn::backend::{StreamId, TensorMetadata};
    use burn_cubecl::CubeBackend;

    let client = get_client::<CubeBackend>(device);
    let (shape, dtype) = (tensor.shape(), tensor.dtype());
    let handle = CubeBackend::float_tensor_handle(tensor);
    let made = InitOperationIr::create(shape, dtype, || client.register_tensor_handle(handle));
    let no_op = NoOp::<CubeBackend>::new();
    Some(client.register(StreamId::current(), OperationIr::Init(made), no_op).output())
}

/// Without fusion the two types are the same.
#[cfg(not(feature = "fusion"))]
fn primitive(_device: &CubeDevice, tensor: CubeTensor) -> Option<Primitive> {
    let mut tensor = Some(tensor);
    (&mut tensor as &mut dyn Any).downcast_mut::<Option<Primitive>>()?.take()
}

/// Makes the tensor like one created on `device`: a constant of its autodiff context, if it has one.
fn in_context<const D: usize, K: kind::Autodiff>(
    tensor: Tensor<D, K>,
    device: &Device,
) -> Tensor<D, K> {
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => tensor.autodiff().with_gradient_checkpointing_strategy(strategy),
        None => tensor,
    }
}
