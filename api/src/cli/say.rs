//! What commands print.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write as _},
};

/// Prints a line. A reader that is gone (`relight history … | head -1`) wants no more: the command ends.
pub(super) fn line(text: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        std::process::exit(i32::from(error.kind() != ErrorKind::BrokenPipe));
    }
}

/// Prints a line, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::say::line(format_args!($($text)*))
    };
}
