//! The program's start.

use parlor::cli::{Cli, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("parlor")
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::from(anyhow::Error::new(error).context("cannot start the runtime"))
                .report();
        }
    };
    let result = runtime.block_on(cli.run());
    // A blocking thread (standard input, an engine) must not keep the program from ending.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
