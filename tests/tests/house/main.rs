//! The house's rules, where they can be read off the sources: arrows between crates, what is built on, how tests wait.

mod arrows;
mod engine;
mod licences;
mod waiting;

use std::process::Command;

use serde_json::Value;

/// What cargo knows of the workspace, with these arguments.
fn metadata(arguments: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path", manifest])
        .args(arguments)
        .output()
        .expect("cargo metadata runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}
