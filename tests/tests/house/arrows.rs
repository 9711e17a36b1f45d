//! Arrows between the crates go down only.

use std::collections::BTreeSet;

use super::metadata;

/// Each crate, and what it may build on. Tests may use everything.
const ARROWS: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("meta", &[]),
    ("sandbox", &[]),
    ("relight-engine", &[]),
    ("store", &["domain", "relight-engine"]),
    ("commands", &["domain", "meta", "relight-engine", "store"]),
    ("projections", &["domain", "relight-engine", "store"]),
    ("api", &["commands", "domain", "meta", "projections", "relight-engine", "sandbox", "store"]),
];

/// What `domain` must never know: a database, HTTP, a runtime, randomness.
const NOT_IN_THE_DOMAIN: [&str; 6] = ["sqlx", "reqwest", "axum", "tokio", "rand", "postgres-es"];

#[test]
fn arrows_go_down_only() {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |package: &serde_json::Value| package["name"].as_str().expect("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let mut known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.extend(["bench", "tests"].map(str::to_owned));
    assert_eq!(ours, known, "a new crate needs its place in the house");
    for (from, allowed) in ARROWS {
        let package = packages.iter().find(|package| name(package) == from).expect("a package");
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let of_the_program = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        for to in of_the_program.map(|dependency| dependency["name"].as_str().expect("a name")) {
            assert!(!ours.contains(to) || allowed.contains(&to), "{from} must not depend on {to}");
            assert!(from != "domain" || !NOT_IN_THE_DOMAIN.contains(&to), "the domain must not know {to}");
        }
    }
}
