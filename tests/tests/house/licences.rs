//! What is built on: licences, sources and versions, by the lists of `deny.toml`. It needs no tool to be built first;
//! cargo-deny itself runs in `./check long`.

use serde_json::{Value, json};
use spdx::{Expression, Licensee, ParseMode};
use toml::Table;

use super::metadata;

/// Where crates come from; `deny.toml` allows no other registry.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn deny() -> Table {
    include_str!("../../../deny.toml").parse().expect("TOML")
}

/// The licences that a crate may have: those on the list, and those that are excepted for it.
fn allowed(deny: &Table, name: &str) -> Vec<Licensee> {
    let listed = |names: &toml::Value| {
        let names = names.as_array().expect("a list").clone();
        names.into_iter().map(|name| Licensee::parse(name.as_str().expect("a name")).expect("a licence"))
    };
    let licenses = &deny["licenses"];
    let exceptions = licenses.get("exceptions").and_then(toml::Value::as_array).into_iter().flatten();
    let own = exceptions.filter(|exception| exception["crate"].as_str() == Some(name));
    listed(&licenses["allow"]).chain(own.flat_map(|exception| listed(&exception["allow"]))).collect()
}

/// What is wrong with a package; `None`: nothing.
fn refusal(deny: &Table, package: &Value, is_ours: bool) -> Option<String> {
    let name = package["name"].as_str().expect("a name");
    let licence = package["license"].as_str().unwrap_or_default();
    let allowed = allowed(deny, name);
    let is_free = Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required)))
    });
    let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
    let wildcard = dependencies
        .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null())
        .find(|dependency| is_ours || dependency["kind"] != "dev");
    if !is_free {
        return Some(format!("{name} has the licence {licence:?}"));
    }
    if package["source"] != CRATES_IO && !(is_ours && package["source"].is_null()) {
        return Some(format!("{name} comes from {}", package["source"]));
    }
    wildcard.map(|dependency| format!("{name} takes any version of {}", dependency["name"]))
}

#[test]
fn all_that_is_built_on_has_a_licence_and_a_source_that_are_allowed() {
    let (deny, metadata) = (deny(), metadata(&["--all-features"]));
    let ours = metadata["workspace_members"].as_array().expect("members");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > ours.len());
    let refused = packages.iter().filter_map(|package| refusal(&deny, package, ours.contains(&package["id"])));
    assert_eq!(refused.collect::<Vec<_>>(), [""; 0]);
    for (table, key) in [("bans", "wildcards"), ("sources", "unknown-registry"), ("sources", "unknown-git")] {
        assert_eq!(deny[table][key].as_str(), Some("deny"), "{table}.{key}");
    }
}

#[test]
fn licences_sources_and_versions_that_are_not_allowed_are_refused() {
    let package = |changed: Value| {
        let mut package = json!({"name": "odd", "license": "MIT", "source": CRATES_IO, "dependencies": []});
        package.as_object_mut().expect("an object").extend(changed.as_object().expect("an object").clone());
        package
    };
    let is_refused = |changed, is_ours| refusal(&deny(), &package(changed), is_ours).is_some();
    for licence in ["MIT OR GPL-3.0", "Apache-2.0/MIT", "(MIT OR LGPL-2.1-or-later) AND Unicode-3.0"] {
        assert!(!is_refused(json!({"license": licence}), false), "{licence}");
    }
    for licence in ["GPL-3.0", "MIT AND MPL-2.0", "Apache-2.0 WITH Classpath-exception-2.0", "", "anything"] {
        assert!(is_refused(json!({"license": licence}), false), "{licence}");
    }
    assert!(is_refused(json!({"license": null}), false), "it says nothing, or has a file of its own");
    assert!(!is_refused(json!({"name": "webdriver", "license": "MPL-2.0"}), false), "an exception for one crate");
    for source in ["registry+https://example.com/index", "git+https://example.com/odd?rev=1#1"] {
        assert!(is_refused(json!({"source": source}), false), "{source}");
    }
    assert!(is_refused(json!({"source": null}), false), "a path outside of the workspace");
    assert!(!is_refused(json!({"source": null}), true));
    let wildcard = |path: Value| json!({"dependencies": [{"name": "serde", "req": "*", "kind": null, "path": path}]});
    assert!(is_refused(wildcard(Value::Null), false) && is_refused(wildcard(Value::Null), true));
    assert!(!is_refused(wildcard("../serde".into()), true));
}
