//! The program `relight`.

fn main() {}
