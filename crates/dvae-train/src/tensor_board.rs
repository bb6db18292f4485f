//! Event files that TensorBoard reads.
//!
//! An event file is a sequence of records: the length (`u64`, little-endian), the masked CRC-32C of those
//! eight bytes, the data, and its masked CRC-32C; the data is a protocol buffer, `tensorflow.Event`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Event, Observer, Report, TrainError};

/// Writes the metrics of each measurement to a folder for `tensorboard --logdir`.
///
/// Every session has its own file; a resumed session tells TensorBoard to discard the steps that are
/// repeated.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    file: Option<(PathBuf, File)>,
}

impl TensorBoard {
    /// Logs to this folder, which is created when training starts.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), file: None }
    }

    fn start(&mut self, steps_done: usize) -> Result<(), TrainError> {
        fs::create_dir_all(&self.folder)
            .map_err(TrainError::io("make the folder", &self.folder))?;
        let (path, file) = new_file(&self.folder)?;
        self.file = Some((path, file));
        self.write(&Message::event(0).text(FILE_VERSION, "brain.Event:2"))?;
        let start = Message::default().count(STATUS, SESSION_START);
        self.write(&Message::event(steps_done + 1).message(SESSION_LOG, &start))
    }

    fn write(&mut self, event: &Message) -> Result<(), TrainError> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(&record(&event.0)).map_err(TrainError::io("write", path))
    }

    fn report(&mut self, report: &Report) -> Result<(), TrainError> {
        let mut summary = Message::default();
        for (name, value) in metrics(report) {
            let value = Message::default().text(TAG, name).float(SIMPLE_VALUE, value as f32);
            summary = summary.message(VALUE, &value);
        }
        self.write(&Message::event(report.step).message(SUMMARY, &summary))
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        match event {
            Event::Started { steps_done, .. } => self.start(*steps_done),
            Event::Measured(report) => self.report(report),
            _ => Ok(()),
        }
    }
}

/// The first free name: TensorBoard reads the files of a folder in the order of their names.
fn new_file(folder: &Path) -> Result<(PathBuf, File), TrainError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut number = 0u32;
    loop {
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.dvae.{number}"));
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(TrainError::io("write", &path)(error)),
        }
    }
}

fn metrics(report: &Report) -> Vec<(&'static str, f64)> {
    let held_out = &report.validation;
    let mut metrics = vec![
        ("train/loss", report.train.loss),
        ("train/elbo", report.train.mean.elbo),
        ("train/log_likelihood", report.train.mean.log_likelihood),
        ("train/kl", report.train.mean.kl),
        ("train/learning_rate", report.learning_rate),
        ("train/gradient_norm", report.gradient_norm),
        ("held_out_corrupted/bound", held_out.corrupted.bound),
        ("held_out_corrupted/elbo", held_out.corrupted.mean.elbo),
        ("held_out_corrupted/log_likelihood", held_out.corrupted.mean.log_likelihood),
        ("held_out_corrupted/kl", held_out.corrupted.mean.kl),
        ("held_out_clean/bound", held_out.clean.bound),
        ("held_out_clean/elbo", held_out.clean.mean.elbo),
        ("held_out_clean/log_likelihood", held_out.clean.mean.log_likelihood),
        ("held_out_clean/kl", held_out.clean.mean.kl),
    ];
    metrics.extend(report.beta.map(|beta| ("train/beta", beta)));
    metrics
}

// Fields of `tensorflow.Event`, `Summary`, `Summary.Value` and `SessionLog`.
const WALL_TIME: u8 = 1;
const STEP: u8 = 2;
const FILE_VERSION: u8 = 3;
const SUMMARY: u8 = 5;
const SESSION_LOG: u8 = 7;
const VALUE: u8 = 1;
const TAG: u8 = 1;
const SIMPLE_VALUE: u8 = 2;
const STATUS: u8 = 1;
const SESSION_START: u64 = 1;

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An event at this step, with the current time.
    fn event(step: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = Self::default();
        event.0.push(WALL_TIME << 3 | 1);
        event.0.extend(now.as_secs_f64().to_le_bytes());
        event.count(STEP, step as u64)
    }

    fn count(mut self, field: u8, value: u64) -> Self {
        self.0.push(field << 3);
        self.varint(value)
    }

    fn float(mut self, field: u8, value: f32) -> Self {
        self.0.push(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn text(self, field: u8, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u8, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        self.0.push(field << 3 | 2);
        self = self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// Seven bits per byte, the lowest first; the top bit marks that more bytes follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let check = |bytes: &[u8]| masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &check(&length), data, &check(data)].concat()
}

/// TensorFlow stores a checksum rotated and shifted, so that a checksum of data that contains checksums is
/// not confused with them.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 300 = 0b10_0101100: the low seven bits with the continuation bit, then the rest.
    #[test]
    fn messages_are_protocol_buffers() {
        let message = Message::default().count(2, 300).text(3, "ab").float(2, 1.0);
        assert_eq!(message.0, [0x10, 0xac, 0x02, 0x1a, 2, b'a', b'b', 0x15, 0, 0, 0x80, 0x3f]);
    }

    // CRC-32C of "123456789" is 0xe3069283 (the check value of the polynomial); rotated right by 15 bits it
    // is 0x2507c60d.
    #[test]
    fn checksums_are_masked() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(0xe306_9283), 0x2507_c60du32.wrapping_add(0xa282_ead8));
        assert_eq!(record(b"123").len(), 8 + 4 + 3 + 4);
    }
}
