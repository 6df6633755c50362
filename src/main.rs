//! Arguments in, exit code out.

use std::process::ExitCode;

/// A large mesh is parsed on all cores and freed on another thread, which glibc's allocator and musl's are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    meshdns::cli::main()
}
