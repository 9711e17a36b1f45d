//! The environment as configuration. Values stay texts: an app's id of digits is no number.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

const PREFIX: &str = "RELIGHT_";
/// Variables that are for something else than the configuration: the log's filter, and the tests'.
fn is_not_ours(name: &str) -> bool {
    name == "RELIGHT_LOG" || name.starts_with("RELIGHT_TEST_")
}

/// What the environment sets.
pub(super) struct Environment(Dict);

impl Environment {
    /// Takes `RELIGHT_SECTION__KEY`, and reads the file that `RELIGHT_SECTION__KEY_FILE` names.
    pub(super) fn read(variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut dict = Dict::new();
        for (name, value) in variables.filter(|(name, _)| !is_not_ours(name)) {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            let (key, value) = match key.strip_suffix("_FILE") {
                Some(key) => {
                    let read = std::fs::read_to_string(&value);
                    (key, read.map_err(|error| format!("{name} names a file that can't be read: {error}."))?)
                }
                None => (key, value),
            };
            let key = key.to_lowercase().replace("__", ".");
            let value = value.trim_end_matches(['\n', '\r']).to_owned();
            let value = if key == "http.trusted_proxies" { list(&value) } else { Value::from(value) };
            let nested = figment::util::nest(&key, value);
            if let Value::Dict(_, nested) = nested {
                merge(&mut dict, nested);
            }
        }
        Ok(Self(dict))
    }
}

fn list(text: &str) -> Value {
    Value::from(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect::<Vec<_>>())
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, into)), Value::Dict(_, from)) => merge(into, from),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}
