//! A TypeScript client: its types are generated from the description, it compiles under `strict`, and it does its work.

use std::path::Path;

use api::sign_in::Role;
use engine::on_both_engines;
use tokio::process::Command;

use crate::{people::inhabited, tool};

/// The client's source and settings.
const SOURCES: [(&str, &str); 3] = [
    ("client.ts", include_str!("../../contract/client.ts")),
    ("package.json", include_str!("../../contract/package.json")),
    ("tsconfig.json", include_str!("../../contract/tsconfig.json")),
];

/// Runs a program of Node in a folder, for a service.
async fn node(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("node");
    command.current_dir(folder).args(arguments).envs(variables.iter().copied());
    tool::run(&mut command).await.unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
}

on_both_engines! {
    async fn a_client_generated_from_the_description_compiles_and_works(engine: Engine) {
        let Some(tools) = tool::path("RELIGHT_TEST_NODE") else { return };
        let relight = inhabited(engine).await;
        // Node looks for packages in the folders above.
        let folder = tempfile::tempdir_in(&tools).expect("a folder");
        for (name, text) in SOURCES {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let document = format!("{}/api/v1/openapi.json", relight.base);
        let generator = "../node_modules/openapi-typescript/bin/cli.js";
        node(folder.path(), &[generator, &document, "--output", "schema.d.ts"], &[]).await;
        node(folder.path(), &["../node_modules/typescript/bin/tsc"], &[]).await;
        let key = relight.api_key(Role::Admin).await;
        let said = node(folder.path(), &["client.js"], &[("RELIGHT_URL", &relight.base), ("RELIGHT_KEY", &key)]).await;
        assert!(said.ends_with("done\n"), "{said}");
    }
}
