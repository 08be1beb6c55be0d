//! The `blaster` command.
//!
//! Results go to stdout, words for people to stderr; `RUST_LOG` (for example `RUST_LOG=debug`) shows the log, without that of
//! the HTTP and TLS libraries. `RUST_LOG=debug,ureq=debug` shows theirs too.

use std::process;

use clap::{Parser, Subcommand};

use exit_code::ExitCode;
use screen::Screen;

mod check;
mod demo;
mod environment;
mod exit_code;
mod interrupt;
mod output;
mod screen;
mod sim;

/// Pushes a mountain of prompts through every Azure OpenAI deployment you own.
#[derive(Debug, Parser)]
#[command(name = "blaster", version, arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Demo(demo::Arguments),
    Sim(sim::Arguments),
}

/// Why a command ended early: its exit code, and what to tell the person at the terminal.
#[derive(Debug)]
struct Failure {
    code: ExitCode,
    message: String,
}

impl Failure {
    /// The arguments or the configuration are wrong.
    fn usage(message: impl Into<String>) -> Self {
        Failure {
            code: ExitCode::Usage,
            message: message.into(),
        }
    }

    /// `doing` failed because of `error` and its causes.
    fn of(doing: &str, error: &dyn std::error::Error) -> Self {
        Failure {
            code: ExitCode::Failure,
            message: chain(doing, error),
        }
    }
}

fn main() -> process::ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::default();
    let quiet = log::LevelFilter::Error;
    env_logger::Builder::new()
        .filter_level(quiet)
        // They log what they receive, and dump every byte of it.
        .filter_module("ureq", quiet)
        .filter_module("rustls", quiet)
        .parse_default_env()
        .target(env_logger::Target::Pipe(Box::new(screen.clone())))
        .init();
    let result = match arguments.command {
        Command::Check(arguments) => check::run(&arguments, &screen),
        Command::Demo(arguments) => demo::run(&arguments, &screen),
        Command::Sim(arguments) => sim::run(&arguments).map(|()| ExitCode::Success),
    };
    let code = match result {
        Ok(code) => code,
        Err(failure) => {
            screen.say(&format!("blaster: {}", failure.message));
            failure.code
        }
    };
    code.into()
}

/// `doing: error: its cause: …` on one line.
fn chain(doing: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{doing}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
