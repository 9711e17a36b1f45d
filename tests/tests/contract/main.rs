//! What others make of the API's description: requests that schemathesis generates from it, sent with a key of each role,
//! and a TypeScript client that is generated from it.
//!
//! The tools come from the package registries of Python and Node: `./check contract` installs them and names them in `RELIGHT_TEST_SCHEMATHESIS` (the
//! program) and `RELIGHT_TEST_NODE` (the folder of `node_modules`). Without these variables the tests say so and pass.

mod client;
mod people;
mod schemathesis;
mod tool;
