//! The program. See the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    narrows::app::main()
}
