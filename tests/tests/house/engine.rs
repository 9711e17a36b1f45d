//! The engine knows nothing of what it is used for: it builds on none of our crates (see `arrows`), and has none of our words.

use std::path::Path;

use super::waiting::sources;

/// What an event engine has no word for.
const WORDS: [&str; 6] = ["relight", "account", "widget", "instagram", "oauth", "reconnect"];

#[test]
fn the_engine_has_no_word_of_relight() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src");
    let mut found = Vec::new();
    for path in sources(&folder) {
        let text = std::fs::read_to_string(&path).expect("a source").to_lowercase();
        let lines = text.lines().enumerate().filter(|(_, line)| WORDS.iter().any(|word| line.contains(word)));
        found.extend(lines.map(|(number, line)| format!("{}:{}: {line}", path.display(), number + 1)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
