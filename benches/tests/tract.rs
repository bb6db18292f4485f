//! Graphs of ONNX compute what models do: asked of tract, a second program that runs them, in Rust.

#![allow(clippy::unwrap_used)] // A test may panic.

use dvae::burn::tensor::TensorData;
use dvae::models::{LadderConfig, ModelGraph, TableConfig};
use dvae::onnx::{Axis, Element, Graph, Value};
use dvae::prelude::*;
use tract_onnx::prelude::*;

/// A graph of one input of this shape, with named outputs, as tract runs it.
fn outputs(graph: Graph, input: &[f32], shape: &[usize]) -> Vec<Vec<f32>> {
    let bytes = graph.into_bytes(&[]).unwrap();
    let model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    let fact = f32::fact(shape);
    let model = model.with_input_fact(0, fact.into()).unwrap().into_optimized().unwrap();
    let input = tract_onnx::prelude::Tensor::from_shape(shape, input).unwrap();
    let found = model.into_runnable().unwrap().run(tvec!(input.into())).unwrap();
    let numbers =
        |value: &TValue| value.to_plain_array_view::<f32>().unwrap().iter().copied().collect();
    found.iter().map(numbers).collect()
}

/// Noise in the shape of a model's input.
fn noise(shape: &[usize]) -> Vec<f32> {
    (0..shape.iter().product()).map(|i: usize| (i * i * 7 % 101) as f32 / 100.0).collect()
}

fn close(found: &[f32], expected: &TensorData, what: &str) {
    let expected: Vec<f32> = expected.iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1f32, |size, x| size.max(x.abs()));
    let gap = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap <= 1e-5 * size, "{what}: {gap}");
}

/// Compares the posteriors of all levels, and the denoised rows, of a model of images.
fn compare(config: &AutoencoderConfig, what: &str) {
    let device = Device::flex();
    let model = config.init(Key::new(5), &device).unwrap();
    let channels = config.event[0] * (1 + usize::from(config.mask_input));
    let shape = [&[2, channels], &config.event[1..]].concat();
    let input = noise(&shape);
    let mut graph = ModelGraph::new("test", &model);
    let axes: Vec<Axis> = shape.iter().map(|&side| Axis::Fixed(side)).collect();
    let x = graph.input("x", Element::Float, &axes);
    let (levels, context) = model.encode_in(&mut graph, &x);
    let mean = model.mean_in(&mut graph, &context, config.event[0], None);
    let mut out = |name: String, rank: usize, value: &Value| {
        let axes: Vec<Axis> = (0..rank).map(|axis| Axis::Any(format!("{name}_{axis}"))).collect();
        graph.output(&name, Element::Float, &axes, value);
    };
    let is_ladder = matches!(config.network, NetworkConfig::Ladder(_));
    let rank = if is_ladder { 4 } else { 2 };
    for (level, found) in levels.iter().enumerate() {
        out(format!("mean_{level}"), rank, &found.mean);
        out(format!("log_variance_{level}"), rank, found.log_variance.as_ref().unwrap());
    }
    out("denoised".into(), shape.len(), &mean);
    let found = outputs(graph.into_graph(), &input, &shape);
    let data = TensorData::new(input, shape.clone());
    let mut expected = vec![];
    let denoised = match shape.len() {
        4 => {
            let x = dvae::burn::tensor::Tensor::<4>::from_data(data, &device);
            posteriors::<4>(&model, x.clone(), &mut expected);
            Vae::<4>::denoise(&model, x).into_data()
        }
        _ => {
            let x = dvae::burn::tensor::Tensor::<2>::from_data(data, &device);
            posteriors::<2>(&model, x.clone(), &mut expected);
            Vae::<2>::denoise(&model, x).into_data()
        }
    };
    expected.push(denoised);
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        close(found, expected, &format!("{what}: output {at}"));
    }
}

/// Mean and log-variance of each level, at the means of the levels above.
fn posteriors<const D: usize>(
    model: &Autoencoder<AnyNetwork>,
    x: dvae::burn::tensor::Tensor<D>,
    found: &mut Vec<TensorData>,
) {
    let prior = Vae::<D>::prior(model);
    for level in model.encode(x, &prior).at_means() {
        let dvae::distributions::Posterior::Diagonal(normal) = level.posterior else {
            panic!("a diagonal normal");
        };
        found.extend([normal.mean().into_data(), normal.log_variance().into_data()]);
    }
}

#[test]
fn tract_computes_what_a_ladder_does() {
    let ladder = LadderConfig {
        activation: dvae::models::Activation::Silu,
        ..LadderConfig::new(&[4, 5, 6])
    };
    for [height, width] in [[8, 8], [7, 5]] {
        let config = AutoencoderConfig::new(ladder.clone(), &[2, height, width], 3);
        compare(&config, &format!("{height} × {width}"));
    }
    let deep = LadderConfig { deterministic: 1, ..ladder };
    compare(&AutoencoderConfig::new(deep, &[1, 9, 6], 2), "with a level without latents");
}

#[test]
fn tract_computes_what_a_network_of_one_level_does() {
    compare(&AutoencoderConfig::mlp(&[6], 2), "fully connected");
    compare(&AutoencoderConfig::conv(&[1, 9, 7], 2), "convolutional");
    compare(&AutoencoderConfig::res_net(&[1, 9, 7], 2), "residual");
    let table = AutoencoderConfig {
        mask_input: true,
        likelihood: LikelihoodConfig::StudentT { min_scale: 0.1, min_degrees: 3.0 },
        ..AutoencoderConfig::new(TableConfig::new(&[8]), &[5], 2)
    };
    compare(&table, "of a table");
}
