//! `lastmile-engine`: the half of lastmile that loads libtorch.

#![expect(clippy::disallowed_methods, reason = "the program reads its configuration")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use engine::corpus::read_lines;
use engine::denoise::SearchLimits;
use engine::eval::evaluate;
use engine::serve::Server;
use engine::train::{Paths, TrainConfig, pairs, preview, train};
use lastmile::{lang, lexeme, pack, protocol, state};
use tch::Device;

// A module of this program and not of the library, so that nothing else links libtorch.
#[path = "../engine/mod.rs"]
mod engine;

#[derive(Parser)]
#[command(version, about = "The diffusion engine of lastmile")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Repair windows: JSON lines in, JSON lines out, until stdin closes
    Serve {
        /// Folder with one pack for each language
        #[arg(long)]
        models: PathBuf,
        /// auto, cpu or cuda:0
        #[arg(long, default_value = "auto")]
        device: String,
        /// Threads for libtorch on the CPU; 0 leaves it to libtorch
        #[arg(long, default_value_t = 0)]
        threads: i32,
    },
    /// Train a language pack, resuming from the run folder when it holds a checkpoint
    Train(TrainArgs),
    /// Measure how well a pack mends real pairs that it was not trained on
    Eval {
        /// Pairs as JSON lines: {"broken", "fixed"}
        rows: PathBuf,
        /// Folder with one pack for each language
        #[arg(long)]
        models: PathBuf,
        #[arg(long, default_value = "python")]
        language: String,
        /// auto, cpu or cuda:0
        #[arg(long, default_value = "auto")]
        device: String,
        /// Threads for libtorch on the CPU
        #[arg(long, default_value_t = 1)]
        threads: i32,
    },
    /// Show what the noise profile does to good code
    Preview(PreviewArgs),
}

#[derive(clap::Args)]
struct PreviewArgs {
    #[command(flatten)]
    train: TrainArgs,
    /// Write so many damaged and good texts instead, as rows for `eval` and for models/calibrate.py
    #[arg(long, value_name = "N")]
    pairs: Option<usize>,
}

#[derive(clap::Args)]
struct TrainArgs {
    /// Configuration of the run, such as models/python/train.toml
    config: PathBuf,
    /// Folder with the corpora
    #[arg(long)]
    data: PathBuf,
    /// Folder of the run: configuration, curve, checkpoint, weights
    #[arg(long)]
    run: PathBuf,
    /// Noise profile; beside the configuration when not given
    #[arg(long)]
    noise: Option<PathBuf>,
    /// Pack to start from instead of fresh weights
    #[arg(long)]
    init: Option<PathBuf>,
    /// auto, cpu or cuda:0
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads for libtorch on the CPU
    #[arg(long, default_value_t = 1)]
    threads: i32,
    /// Overrides of the configuration, such as `n_steps=2000`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // Parsers call themselves for every level of nesting.
    let work = std::thread::Builder::new().stack_size(lastmile::lang::STACK).spawn(|| run(args.command));
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
        Ok(Err(_)) | Err(_) => ExitCode::from(2),
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve { models, device: name, threads } => {
            if threads > 0 {
                tch::set_num_threads(threads);
            }
            let mut server = Server::new(&models, device(&name)?, SearchLimits::default());
            server.serve(std::io::stdin().lock(), std::io::stdout().lock())
        }
        Command::Train(args) => {
            let (config, paths) = read(&args)?;
            tch::set_num_threads(args.threads);
            train(&config, &paths, device(&args.device)?)
        }
        Command::Eval { rows, models, language, device: name, threads } => {
            tch::set_num_threads(threads);
            let mut server = Server::new(&models, device(&name)?, SearchLimits::default());
            let report = evaluate(server.pack(&language)?, &read_lines(&rows)?)?;
            anstream::println!("{report}");
            Ok(())
        }
        Command::Preview(args) => {
            let (config, paths) = read(&args.train)?;
            std::fs::create_dir_all(&paths.run)?;
            let out = &mut std::io::stdout().lock();
            match args.pairs {
                Some(n) => pairs(&config, &paths, n, out),
                None => preview(&config, &paths, 5000, out),
            }
        }
    }
}

fn read(args: &TrainArgs) -> Result<(TrainConfig, Paths)> {
    let text = std::fs::read_to_string(&args.config)
        .with_context(|| format!("reading `{}`", args.config.display()))?;
    let mut table: toml::Table =
        toml::from_str(&text).with_context(|| format!("`{}`", args.config.display()))?;
    for pair in &args.set {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not KEY=VALUE"))?;
        let value: toml::Table =
            toml::from_str(&format!("v = {value}")).with_context(|| format!("`{value}`"))?;
        table.insert(key.to_owned(), value["v"].clone());
    }
    let config = table.try_into().with_context(|| format!("`{}`", args.config.display()))?;
    let beside = args.config.with_file_name("noise.toml");
    let paths = Paths {
        data: args.data.clone(),
        noise: args.noise.clone().unwrap_or(beside),
        run: args.run.clone(),
        init: args.init.clone(),
    };
    Ok((config, paths))
}

fn device(name: &str) -> Result<Device> {
    match name {
        "auto" => Ok(Device::cuda_if_available()),
        "cpu" => Ok(Device::Cpu),
        other => {
            let n = other
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .with_context(|| format!("`{other}` is not auto, cpu or cuda:N"))?;
            let n_devices = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
            let is_there = i64::try_from(n).is_ok_and(|n| n < n_devices);
            ensure!(is_there, "there is no device `{other}`: libtorch sees {n_devices} with CUDA");
            Ok(Device::Cuda(n))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_named() {
        assert_eq!(device("cpu").expect("every machine has one"), Device::Cpu);
        let error = |name| device(name).expect_err("no machine has it").to_string();
        assert!(error("cuda:99").starts_with("there is no device `cuda:99`: libtorch sees "));
        assert_eq!(error("gpu"), "`gpu` is not auto, cpu or cuda:N");
    }
}
