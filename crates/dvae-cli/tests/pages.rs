//! The pages, read as a new user reads them: what is shown to be pasted is pasted, in order.
//!
//! | A block of    | is                                                                                     |
//! |---------------|----------------------------------------------------------------------------------------|
//! | `rust`        | a documentation test: `examples/src/lib.rs` lists the pages                             |
//! | `rust,ignore` | the whole of an example, which is compiled and tested there                             |
//! | `toml`        | a file that an experiment is trained from, as it stands                                 |
//! | `sh`          | run, in the order of the page; of `cargo` and `python` only the names are looked up     |
//! | `text`        | output, or a formula                                                                   |

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ok, run};

/// A fenced block of a page.
struct Block {
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files of a folder of the repository that end like this, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(ending));
    paths.sort();
    paths
}

/// Every page with its name: that of the root, the documentation, and one of each crate.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    paths.extend(files("docs", ".md"));
    paths.extend(files("crates", "").into_iter().map(|path| path.join("README.md")));
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a page, without the indentation of a list around them.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = vec![];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let inner = lines.by_ref().take_while(|line| line.trim() != "```");
        let text = inner.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect();
        blocks.push(Block { language: language.to_owned(), text });
    }
    blocks
}

/// The blocks of one language on every page, with the name of the page.
fn blocks_of(language: &str) -> Vec<(String, String)> {
    let all = pages()
        .into_iter()
        .flat_map(|(name, page)| blocks(&page).into_iter().map(move |block| (name.clone(), block)));
    let all = all.filter(|(_, block)| block.language == language);
    all.map(|(name, block)| (name, block.text)).collect()
}

/// A folder in which `examples/…` is found, as it is from the root of the repository.
fn user_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let examples = root().join("examples");
    std::os::unix::fs::symlink(examples, folder.path().join("examples")).unwrap();
    folder
}

#[test]
fn every_block_is_of_a_language_that_is_tested() {
    let listed = fs::read_to_string(root().join("examples/src/lib.rs")).unwrap();
    let examples =
        files("examples", ".rs").into_iter().map(|path| fs::read_to_string(path).unwrap());
    let examples: Vec<String> = examples.collect();
    for (name, page) in pages() {
        for Block { language, text } in blocks(&page) {
            let tested = match language.as_str() {
                "rust" | "rust,no_run" => listed.contains(&format!("\"../../{name}\"")),
                "rust,ignore" => examples.contains(&text),
                "toml" | "sh" | "text" => true,
                _ => false,
            };
            assert!(tested, "{name}: nothing tests this block of `{language}`:\n{text}");
        }
    }
}

#[test]
fn every_toml_block_is_an_experiment_that_trains() {
    let blocks = blocks_of("toml");
    assert!(!blocks.is_empty());
    let small = ["--quiet", "--set", "data.rows=64", "--set", "train.epochs=1"];
    for (name, text) in blocks {
        let folder = user_folder();
        fs::write(folder.path().join("pasted.toml"), &text).unwrap();
        if text.contains("noisy-fashion") {
            // The command before the block made it.
            let fashion = "examples/assets/fashion";
            ok(folder.path(), &["corrupt", "gaussian:0.1", fashion, "-o", "noisy-fashion"]);
        }
        ok(folder.path(), &["config", "pasted.toml"]);
        let arguments = [&["train", "pasted.toml"], &small[..]].concat();
        let output = run(folder.path(), &arguments);
        // The embedded images are gray: a likelihood of counts or classes says that it cannot be theirs.
        let error = String::from_utf8_lossy(&output.stderr);
        let other_data = error.contains("but the likelihood is for");
        assert!(output.status.success() || other_data, "{name}:\n{text}\n{error}");
    }
}

/// What stands in a table of the page as `{ type = … }` is a value of `kl`.
#[test]
fn every_kl_term_of_the_page_on_objectives_is_understood() {
    let page = fs::read_to_string(root().join("docs/objectives.md")).unwrap();
    let terms: Vec<&str> = page.split('`').filter(|code| code.starts_with("{ type = ")).collect();
    assert!(!terms.is_empty());
    let folder = tempfile::tempdir().unwrap();
    for term in terms {
        let setting = format!("train.objective.kl={}", term.replace("\\|", "|"));
        ok(folder.path(), &["config", "--set", &setting]);
    }
}

/// Whether a line calls one of these programs, settings of its environment aside.
fn calls(line: &str, programs: &[&str]) -> bool {
    let word = line.split_whitespace().find(|word| !word.contains('='));
    word.is_some_and(|word| programs.contains(&word))
}

/// Cargo's and Python's lines take minutes: whatever they name has to be there.
fn assert_names_exist(page: &str, line: &str) {
    let words: Vec<&str> = line.split_whitespace().take_while(|&word| word != "#").collect();
    let exists = |folders: Vec<PathBuf>, name: &str| {
        folders.iter().any(|folder| folder.join(format!("{name}.rs")).is_file())
    };
    for pair in words.windows(2) {
        let found = match pair[0] {
            "--example" => exists(vec![root().join("examples")], pair[1]),
            "--bench" => exists(vec![root().join("benches/benches")], pair[1]),
            "--test" => {
                let mut folders: Vec<_> = files("crates", "");
                folders.extend(["examples", "benches"].map(|folder| root().join(folder)));
                exists(folders.iter().map(|folder| folder.join("tests")).collect(), pair[1])
            }
            "-p" => root().join("crates").join(pair[1]).is_dir(),
            "python" => root().join(pair[1]).is_file(),
            _ => true,
        };
        assert!(found, "{page}: there is no `{}`: {line}", pair[1]);
    }
}

#[test]
fn every_shell_block_works() {
    let program = Path::new(env!("CARGO_BIN_EXE_dvae")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (name, page) in pages() {
        let folder = user_folder();
        // What a page takes for granted: the weights of somebody's PyTorch module, and rows for it.
        fs::copy(fixtures.join("mlp.pt"), folder.path().join("module.pt")).unwrap();
        fs::copy(fixtures.join("mlp-input.npy"), folder.path().join("rows.npy")).unwrap();
        for block in blocks(&page).into_iter().filter(|block| block.language == "sh") {
            let slow = ["cargo", "python", "pip"];
            let (slow, quick): (Vec<&str>, Vec<&str>) =
                block.text.lines().partition(|line| calls(line, &slow));
            slow.iter().for_each(|line| assert_names_exist(&name, line));
            let output = Command::new("bash")
                .args(["-e", "-c", &quick.join("\n")])
                .current_dir(folder.path())
                .env("PATH", &path)
                .output()
                .unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {}{error}", block.text);
        }
        page.split('`')
            .filter(|code| calls(code, &["cargo"]) && !code.contains('\n'))
            .for_each(|code| assert_names_exist(&name, code));
        if name == "docs/cli.md" {
            assert_cleaned(folder.path());
        }
    }
}

/// What the commands of the page about the program leave.
fn assert_cleaned(folder: &Path) {
    for file in ["clean/boot.png", "boot-deviation.npy", "grid.png", "latents.csv", "path.png"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let filled = fs::read_to_string(folder.join("filled.csv")).unwrap();
    assert_eq!(filled.lines().count(), 345);
    assert!(!filled.contains(",,") && !filled.contains("NaN"), "{filled}");
}

#[test]
fn every_ready_experiment_trains() {
    let folder = user_folder();
    let configs = files("examples/configs", ".toml");
    assert!(configs.len() >= 5);
    for path in configs {
        let small = ["--quiet", "--set", "train.epochs=2", "--set", "data.rows=200"];
        let arguments = [&["train", path.to_str().unwrap()], &small[..]].concat();
        ok(folder.path(), &arguments);
    }
}
