//! The output of commands. A reader that has seen enough, such as `head`, ends a command quietly.

use std::{fmt, io::Write as _};

/// Prints a line of a command's output.
macro_rules! say {
    ($($what:tt)*) => { $crate::output::line(format_args!($($what)*)) };
}

/// Prints a line; ends the process where nobody reads any more.
#[expect(clippy::disallowed_methods, reason = "what a command has left to do is print what nobody reads")]
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { 0 } else { 1 };
        if code != 0 {
            eprintln!("tidemark: the output cannot be written: {error}");
        }
        std::process::exit(code);
    }
}
