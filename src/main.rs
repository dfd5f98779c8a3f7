//! The program `lastmile`: all it does is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lastmile::cli::main()
}
