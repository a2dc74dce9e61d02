//! What the Python client example needs: an environment of its own with grpcio, and code from the contracts.

use std::path::Path;

use anyhow::{Context, Result};

use super::browser::program;
use crate::command;

const FOLDER: &str = "tests/clients/python";
/// The environment's own, from the root of the workspace.
const PYTHON: &str = "tests/clients/python/.venv/bin/python";

pub(super) fn ensure() -> Result<()> {
    let folder = command::root().join(FOLDER);
    let python = command::root().join(PYTHON);
    let wanted = std::fs::read_to_string(folder.join("requirements.txt")).context("requirements.txt")?;
    let installed = folder.join(".venv/installed.txt");
    if std::fs::read_to_string(&installed).ok().as_deref() != Some(&wanted) {
        program("python3", &["python3", "python3-venv"])?;
        println!("grpcio is not there and is fetched now");
        let venv = ["-m", "venv", "--clear", ".venv"];
        command::run(command::program("python3").args(venv).current_dir(&folder))
            .context("an environment could not be made (Debian: `apt-get install python3-venv`)")?;
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
        command::run(command::program(&python.to_string_lossy()).args(pip).current_dir(&folder))
            .context("grpcio could not be fetched")?;
        std::fs::write(&installed, wanted).context("the list of what is installed")?;
    }
    generate(&folder, &python).context("the code for Python could not be made from proto/")?;
    println!("Python with grpcio is there");
    Ok(())
}

/// Each time: it takes a second, and is never older than the contracts.
fn generate(folder: &Path, python: &Path) -> Result<()> {
    let (proto, out) = (command::root().join("proto"), folder.join("generated"));
    std::fs::create_dir_all(&out)?;
    let mut files = Vec::new();
    find(&proto.join("tidemark"), &mut files)?;
    let mut protoc = command::program(&python.to_string_lossy());
    protoc.args(["-m", "grpc_tools.protoc", "-I"]).arg(&proto);
    protoc.arg(format!("--python_out={}", out.display())).arg(format!("--grpc_python_out={}", out.display()));
    command::run(protoc.args(files))
}

fn find(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
