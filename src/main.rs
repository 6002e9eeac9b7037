//! The program. See the library for everything.

use std::process::ExitCode;

/// Chosen by measurement: small, short-lived buffers of changing sizes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    narrows::app::main()
}
