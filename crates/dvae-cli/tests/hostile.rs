//! Files of strangers, and folders that are shared: an error that names the file, never a panic or someone else's data.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{array, dvae, ok, picture, refused, run, text, trained, within};
use dvae::data::{Domain, Element, Format, RowWriter};

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind);
    hasher.update(data);
    let (length, crc) = ((data.len() as u32).to_be_bytes(), hasher.finalize().to_be_bytes());
    [&length[..], kind, data, &crc].concat()
}

/// A PNG file of these sides, color type and palette, with no pixels in it.
fn png(side: u32, color: u8, palette: Option<&[u8]>) -> Vec<u8> {
    let sides = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[&sides[..], &[8, color, 0, 0, 0]].concat());
    let palette = palette.map(|palette| chunk(b"PLTE", palette)).unwrap_or_default();
    let pixels = chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    [b"\x89PNG\r\n\x1a\n", &header[..], &palette, &pixels, &chunk(b"IEND", &[])].concat()
}

// A decoder that panics, headers that claim gigabytes: the error comes before the memory.
#[test]
fn small_files_that_claim_much_are_refused_by_name() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("palette.png"), png(2, 3, Some(&[1, 1, 1, 2]))).unwrap();
    fs::write(at("huge.png"), png(40_000, 2, None)).unwrap();
    let header = |shape: &str| {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()
    };
    fs::write(at("long.npy"), header("(1, 500000000)")).unwrap();
    fs::create_dir(at("idx")).unwrap();
    let idx = [&[0, 0, 8, 3][..], &[0, 100, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0]].concat();
    fs::write(at("idx/train-images-idx3-ubyte"), idx).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["denoise", "run", "palette.png", "-o", "o.png"], "palette.png is no picture"),
        (&["denoise", "run", "huge.png", "-o", "o.png"], "huge.png is no picture"),
        (&["corrupt", "gaussian:0.1", "huge.png", "-o", "o.png"], "huge.png is no picture"),
        (&["corrupt", "gaussian:0.1", "long.npy", "-o", "o.npy"], "long.npy cannot be used"),
        (
            &["train", "--set", "data.source=idx", "--set", "data.path=idx", "--out", "r"],
            "train-images-idx3-ubyte cannot be used: its header says",
        ),
    ];
    for (arguments, expected) in cases {
        let output = within(folder.path(), 2_000, arguments);
        let error = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected) && !error.contains("panicked"), "{error}");
    }
}

#[test]
fn one_file_that_cannot_be_used_does_not_keep_the_others_from_it() {
    let folder = trained();
    fs::create_dir(folder.path().join("in")).unwrap();
    for at in 0..100 {
        picture(&folder.path().join(format!("in/{at:02}.png")), 28, 28);
    }
    fs::write(folder.path().join("in/50.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    for batch in ["1", "64", "1000"] {
        let out = format!("out-{batch}");
        let arguments = ["denoise", "run", "in", "-o", &out, "--batch-size", batch, "--json"];
        let output = run(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output).contains("error: in/50.png is no picture"), "{output:?}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["files"], &summary["rows"]), (&99.into(), &99.into()));
        assert_eq!(summary["failed"][0], "in/50.png");
        assert_eq!(fs::read_dir(folder.path().join(&out)).unwrap().count(), 99);
        let strict = format!("strict-{batch}");
        let arguments = ["denoise", "run", "in", "-o", &strict, "--batch-size", batch, "--strict"];
        assert!(refused(folder.path(), &arguments).contains("in/50.png is no picture"));
    }
    let output = run(folder.path(), &["corrupt", "gaussian:0.1", "in", "-o", "noisy"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(folder.path().join("noisy")).unwrap().count(), 99);
    // A table that breaks off in its middle leaves nothing, and the one after it is complete.
    let lines = |rows: usize| (0..rows).map(|row| format!("{row},1\n")).collect::<String>();
    fs::write(folder.path().join("a.csv"), format!("x,y\n{}bad,1\n", lines(70))).unwrap();
    fs::write(folder.path().join("b.csv"), format!("x,y\n{}", lines(70))).unwrap();
    let output = run(folder.path(), &["corrupt", "gaussian:0.1", "a.csv", "b.csv", "-o", "tables"]);
    assert_eq!(output.status.code(), Some(1));
    let names: Vec<_> = fs::read_dir(folder.path().join("tables")).unwrap().collect();
    assert_eq!(names.len(), 1);
    assert!(names[0].as_ref().unwrap().path().ends_with("b.csv"));
}

#[test]
fn pipes_devices_and_links_are_named_or_read_once() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    picture(&at("a.png"), 28, 28);
    fs::create_dir(at("in")).unwrap();
    fs::copy(at("a.png"), at("in/a.png")).unwrap();
    symlink("nowhere", at("in/gone.png")).unwrap();
    symlink(".", at("in/loop")).unwrap();
    assert!(Command::new("mkfifo").arg(at("in/pipe.png")).status().unwrap().success());
    let output = run(folder.path(), &["denoise", "run", "in", "-o", "out"]);
    let warnings = text(&output);
    assert_eq!(output.status.code(), Some(0), "{warnings}");
    for warning in [
        "warning: in/gone.png is left out: a link that leads nowhere",
        "warning: in/loop is left out: a folder that holds itself",
        "warning: in/pipe.png is left out: a pipe or a device",
    ] {
        assert!(warnings.contains(warning), "{warnings}");
    }
    // A pipe that is asked for by name is read once.
    let whole = fs::read(at("a.png")).unwrap();
    let pipe = at("in/pipe.png");
    let writer = std::thread::spawn(move || fs::write(pipe, whole).unwrap());
    ok(folder.path(), &["denoise", "run", "in/pipe.png", "-o", "piped.png"]);
    writer.join().unwrap();
    let read = |name: &str| fs::read(at(name)).unwrap();
    assert_eq!(read("piped.png"), read("out/a.png"));
    for kind in ["csv", "npy", "png"] {
        let zero = format!("zero.{kind}");
        symlink("/dev/zero", at(&zero)).unwrap();
        let out = format!("o.{kind}");
        let output = within(folder.path(), 2_000, &["corrupt", "gaussian:0.1", &zero, "-o", &out]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output).contains(&zero), "{output:?}");
    }
}

fn piped(folder: &Path, input: &[u8], arguments: &[&str]) -> Output {
    let mut command = dvae(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    process.wait_with_output().unwrap()
}

#[test]
fn standard_input_is_read_where_its_format_is_given() {
    let folder = trained();
    picture(&folder.path().join("a.png"), 28, 28);
    let whole = fs::read(folder.path().join("a.png")).unwrap();
    ok(folder.path(), &["denoise", "run", "a.png", "-o", "from-file.png"]);
    let arguments = ["denoise", "run", "-", "--format", "png", "-o", "from-pipe.png"];
    let output = piped(folder.path(), &whole, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("from-pipe.png"), read("from-file.png"));
    let bad = piped(
        folder.path(),
        b"x,y\n1,z\n",
        &["corrupt", "gaussian:0.1", "-", "--format", "csv", "-o", "o.csv"],
    );
    assert!(text(&bad).contains("standard-input.csv, line 2"), "{bad:?}");
    let error = refused(folder.path(), &["denoise", "run", "-", "-o", "o.png"]);
    assert!(error.contains("standard input needs a --format"), "{error}");
    let error =
        refused(folder.path(), &["denoise", "run", "a.png", "--format", "png", "-o", "o.png"]);
    assert!(error.contains("--format is for standard input"), "{error}");
}

#[test]
fn messages_are_short_and_do_not_steer_the_terminal() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("long.csv"), format!("x,y\n1,{}\n", "a".repeat(1 << 20))).unwrap();
    let error = refused(folder.path(), &["corrupt", "gaussian:0.1", "long.csv", "-o", "o.csv"]);
    assert!(error.len() < 1000 && error.contains("aaa…`"), "{error}");
    fs::write(at("bell\u{7}.csv"), "x\u{1b}[2J,y\n1,\u{1b}[31mred\n2,\u{1b}[31mred\n").unwrap();
    let names = ["corrupt", "gaussian:0.1", "bell\u{7}.csv", "-o", "o.csv"];
    let error = refused(folder.path(), &names);
    assert!(!error.trim_end().contains(|c: char| c.is_control()), "{error:?}");
    assert!(error.contains("bell\\u{7}.csv, line 2: column `y` holds `\\u{1b}[31mred`"), "{error}");
    // A name that is no text.
    let name = OsStr::from_bytes(b"a\xff.png");
    picture(&at("a.png"), 28, 28);
    fs::rename(at("a.png"), folder.path().join(name)).unwrap();
    let mut command = dvae(folder.path());
    command.args(["denoise", "run"]).arg(name).arg("-o").arg(OsStr::from_bytes(b"o\xff.png"));
    let output = command.arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["out"], "o\u{fffd}.png");
    // What is wrong with the metrics of a run is said by file and line.
    let metrics = at("run/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{{}}\n{lines}")).unwrap();
    let error = refused(folder.path(), &["info", "run"]);
    assert!(error.contains("run/metrics.jsonl, line 1: it is no measurement"), "{error}");
}

#[test]
fn a_column_that_overflows_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.csv"), "x,y\n1,1e300\n2,-1e300\n3,1\n4,2\n5,3\n").unwrap();
    let table = ["train", "--set", "data.source=csv", "--set", "data.path=t.csv", "--out", "r"];
    let model = ["--set", "model.network=mlp", "--set", "corruption=gaussian:0.1"];
    let normal = ["--set", "model.likelihood.type=normal", "--set", "model.likelihood.scale=1"];
    for (scaling, expected) in
        [("standard", "spreads too far for double precision"), ("none", "holds")]
    {
        let scaling = format!("data.scaling={scaling}");
        let arguments = [&table[..], &model, &normal, &["--set", &scaling]].concat();
        let error = refused(folder.path(), &arguments);
        assert!(error.contains("t.csv, column `y`") && error.contains(expected), "{error}");
        assert!(error.len() < 400, "{error}");
    }
}

// A file that can be read, and whose result cannot be written: a picture of two pages under the name of one.
#[test]
fn a_file_whose_result_cannot_be_written_costs_the_others_nothing() {
    let folder = trained();
    fs::create_dir(folder.path().join("in")).unwrap();
    let pages = folder.path().join("pages.tif");
    let format = Format::new(&[1, 28, 28], Element::U8, Domain::Unit);
    let mut writer = RowWriter::create(&pages, &format).unwrap();
    (0..2).for_each(|_| writer.write(&format.row(&[0.5; 784])).unwrap());
    writer.finish().unwrap();
    fs::rename(pages, folder.path().join("in/a.png")).unwrap();
    for at in 0..70 {
        picture(&folder.path().join(format!("in/b{at:02}.png")), 28, 28);
    }
    for (batch, samples) in [("1", "2"), ("64", "2"), ("1000", "2")] {
        let out = format!("out-{batch}");
        let arguments = ["denoise", "run", "in", "-o", &out, "--batch-size", batch];
        let output = run(folder.path(), &[&arguments[..], &["--samples", samples]].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output).contains("a.png cannot be used: one picture is one row"));
        let read = |out: &str, at: usize| {
            fs::read(folder.path().join(format!("{out}/b{at:02}.png"))).unwrap()
        };
        // Draws of a file do not depend on the others, nor on the batches.
        assert!(
            (0..70).all(|at| read(&out, at) == read("out-1", at) && !read(&out, at).is_empty())
        );
        assert!(!folder.path().join(&out).join("a.png").exists());
    }
}

// Work that grows with the square of a file, or faster: each of these took minutes, or never ended.
#[test]
fn files_and_folders_that_go_in_circles_end_soon() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("blank.csv"), "\n".repeat(4 << 20)).unwrap();
    // One directory of many entries that is followed by itself: BigTIFF, 16 bytes before it.
    let entries: u64 = 200_000;
    let mut tiff = [&b"II+\0\x08\0\0\0"[..], &16u64.to_le_bytes(), &entries.to_le_bytes()].concat();
    tiff.extend(vec![0; 20 * entries as usize]);
    tiff.extend(16u64.to_le_bytes());
    fs::write(at("circle.tif"), tiff).unwrap();
    // A part that claims four gigabytes: RIFF, an extended header, a profile.
    let header =
        [&b"VP8X\x0a\0\0\0\x20\0\0\0"[..], &[27, 0, 0, 27, 0, 0], b"ICCP", &[0xff; 4]].concat();
    let length = (header.len() as u32 + 4).to_le_bytes();
    fs::write(at("profile.webp"), [b"RIFF", &length[..], b"WEBP", &header].concat()).unwrap();
    let cases = [
        ("blank.csv", "it is empty"),
        ("circle.tif", "more than its length allows"),
        ("profile.webp", "claims 4294967295 bytes"),
    ];
    for (name, expected) in cases {
        let out = format!("o-{name}");
        let output = within(folder.path(), 2_000, &["corrupt", "gaussian:0.1", name, "-o", &out]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output).contains(expected), "{output:?}");
    }
    // Folders each of which has two links to the next.
    for depth in 0..32 {
        fs::create_dir_all(at(&format!("deep/{depth}"))).unwrap();
        for link in ["a", "b"] {
            symlink(format!("../{}", depth + 1), at(&format!("deep/{depth}/{link}"))).unwrap();
        }
    }
    fs::create_dir(at("deep/32")).unwrap();
    picture(&at("deep/32/x.png"), 28, 28);
    let output = run(folder.path(), &["denoise", "run", "deep/0", "-o", "deep-out"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("the same folder as one before"), "{output:?}");
    // An experiment without an end.
    symlink("/dev/zero", at("zero.toml")).unwrap();
    let output = within(folder.path(), 2_000, &["train", "zero.toml"]);
    assert!(text(&output).contains("zero.toml: it"), "{output:?}");
    fs::remove_file(at("run/metrics.jsonl")).unwrap();
    symlink("/dev/zero", at("run/metrics.jsonl")).unwrap();
    let error = refused(folder.path(), &["info", "run"]);
    assert!(error.contains("run/metrics.jsonl: it is no file"), "{error}");
}

// Someone else put links and files where temporary files might be.
#[test]
fn outputs_touch_nothing_that_lies_beside_them() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    picture(&at("a.png"), 28, 28);
    array(&at("x.npy"), &[1, 28, 28], 3, |at| (at % 7) as f64 / 7.0);
    fs::write(at("precious"), "mine").unwrap();
    for out in ["o.png", "o.npy"] {
        for beside in [format!("{out}.dvae-tmp"), format!("{out}.tmp"), format!(".{out}.dvae-tmp")]
        {
            symlink("precious", at(&beside)).unwrap();
        }
    }
    ok(folder.path(), &["denoise", "run", "a.png", "-o", "o.png"]);
    ok(folder.path(), &["denoise", "run", "x.npy", "-o", "o.npy"]);
    assert_eq!(fs::read(at("precious")).unwrap(), b"mine");
    assert!(at("o.png.dvae-tmp").is_symlink() && at(".o.npy.dvae-tmp").is_symlink());
    // Two processes with one output: each writes a file of its own, and one of them stands whole.
    let start = |seed: &str| {
        let arguments = ["sample", "run", "-o", "both.npy", "--n", "3000", "--seed", seed];
        dvae(folder.path()).args(arguments).stdout(Stdio::null()).spawn().unwrap()
    };
    let (mut one, mut two) = (start("1"), start("2"));
    assert!(one.wait().unwrap().success() && two.wait().unwrap().success());
    let own = |seed: &str| {
        ok(folder.path(), &["sample", "run", "-o", "alone.npy", "--n", "3000", "--seed", seed]);
        fs::read(at("alone.npy")).unwrap()
    };
    let both = fs::read(at("both.npy")).unwrap();
    assert!(both == own("1") || both == own("2"));
}
