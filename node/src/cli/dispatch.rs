//! From a parsed command line to an exit status.
//!
//! 0: done. 1: failed, with one sentence on standard error that says why and what to do. Wrong
//! usage (2) ends in the parser.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use super::{
    Arguments, Command, ConfigCommand, config, demo, export, import, init, overview, peer, print,
    publish, record, run, status, token, transfer, trust, user,
};

/// Where a node lives unless `--data` or `RACCORDO_DATA` says otherwise.
const DATA_DEFAULT: &str = "raccordo-data";

/// Where the demo's federation lives unless told otherwise.
const DEMO_DEFAULT: &str = "raccordo-demo";

/// Runs a command to its end.
pub fn dispatch(arguments: Arguments) -> ExitCode {
    match done(arguments) {
        Ok(code) => code,
        Err(failed) => {
            print::remark(&format!("raccordo: {}", sentence(&failed)));
            ExitCode::FAILURE
        }
    }
}

fn done(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let named = arguments.data;
    let data = match &arguments.command {
        Command::Demo(_) => named.unwrap_or_else(|| PathBuf::from(DEMO_DEFAULT)),
        _ => named.unwrap_or_else(|| PathBuf::from(DATA_DEFAULT)),
    };
    // What needs no asynchronous work comes first and starts no threads.
    match arguments.command {
        Command::Init(init) => init::init(&data, init)?,
        Command::Config(ConfigCommand::Show(format)) => config::show(&data, format)?,
        Command::Completions { shell } => completions(shell)?,
        Command::Config(ConfigCommand::Check { file, format }) => {
            return config::check(&data, file.as_deref(), format);
        }
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("cannot start the threads of the program")?;
            let outcome = runtime.block_on(Box::pin(asynchronous(&data, command)));
            // A blocked read of standard input must not keep the process alive.
            runtime.shutdown_background();
            return outcome;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn asynchronous(data: &Path, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(arguments) => return import::import(data, arguments).await,
        Command::Demo(arguments) => demo::demo(data, arguments).await?,
        Command::Run(arguments) => run::run(data, arguments).await?,
        Command::Id(format) => status::id(data, format).await?,
        Command::Invite(arguments) => peer::invite(data, arguments).await?,
        Command::Join(arguments) => peer::join(data, arguments).await?,
        Command::Peer(command) => peer::peer(data, command).await?,
        Command::Quarantine(command) => trust::quarantine(data, command).await?,
        Command::Recover(arguments) => trust::recover(data, arguments).await?,
        Command::Publish(arguments) => publish::publish(data, arguments).await?,
        Command::Erase(arguments) => trust::erase(data, arguments).await?,
        Command::Export(arguments) => export::export(data, arguments).await?,
        Command::Record(command) => record::record(data, command).await?,
        Command::Transfer(command) => transfer::transfer(data, command).await?,
        Command::Overview(arguments) => overview::overview(data, arguments).await?,
        Command::Status(format) => status::status(data, format).await?,
        Command::Metrics(format) => status::metrics(data, format).await?,
        Command::Token(command) => token::token(data, command).await?,
        Command::User(command) => user::user(data, command).await?,
        Command::Audit(command) => return user::audit(data, command).await,
        Command::Init(_) | Command::Config(_) | Command::Completions { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "raccordo", &mut script);
    print::raw(&script)
}

/// The chain of causes as one sentence: what failed, because of what.
fn sentence(failed: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in failed.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause.trim_end_matches('.'));
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    #[test]
    fn causes_are_told_once_and_in_order() {
        let failed = anyhow!("no space").context("cannot write a.jsonl.");
        assert_eq!(super::sentence(&failed), "cannot write a.jsonl: no space");
        let doubled = anyhow!("no space").context("cannot write: no space");
        assert_eq!(super::sentence(&doubled), "cannot write: no space");
    }
}
