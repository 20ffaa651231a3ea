//! `antiphon-sim`: callers, speech services, load and a look at a running gateway.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use sim::caller::{siprec, twilio};
use sim::service::{assemblyai, autotranscribe, deepgram, vosk};
use sim::{demo, load, runs, watch, webhook};
use tokio::signal::unix::{SignalKind, signal};

/// Callers and speech services that are not real.
#[derive(Parser)]
#[command(name = "antiphon-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Place calls.
    #[command(subcommand)]
    Call(Call),
    /// Many calls to a service that breaks at random: every word is heard or told as lost.
    Chaos(runs::chaos::Arguments),
    /// See the main job: a call, transcribed, but for the card number.
    Demo(demo::Arguments),
    /// End a gateway with many calls running: nothing is lost that was received before.
    Drain(runs::drain::Arguments),
    /// Put a gateway under load and report what it costs.
    Load(load::Arguments),
    /// Calls that outlive their sockets again and again.
    Long(runs::long::Arguments),
    /// Many more calls than there is room for.
    Overload(runs::overload::Arguments),
    /// Be a speech service.
    #[command(subcommand)]
    Service(Service),
    /// Watch a running gateway.
    Watch(watch::Arguments),
    /// Receive what a gateway delivers, and misbehave if asked to.
    Webhook(webhook::args::WebhookArgs),
}

#[derive(Subcommand)]
enum Call {
    /// Be recorded as a session border controller does it, from a WAV file or the built-in speech.
    Siprec(siprec::Arguments),
    /// Call as Twilio Media Streams does, from a WAV file.
    Twilio(twilio::Arguments),
}

#[derive(Subcommand)]
enum Service {
    /// AssemblyAI Streaming v3.
    Assemblyai(assemblyai::args::ServiceArgs),
    /// ASAPP AutoTranscribe.
    Autotranscribe(autotranscribe::args::ServiceArgs),
    /// Deepgram's live transcription.
    Deepgram(deepgram::args::ServiceArgs),
    /// A Vosk server.
    Vosk(vosk::args::ServiceArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    provider
        .ok()
        .context("a TLS provider is already installed")?;
    match command {
        Command::Call(Call::Siprec(arguments)) => siprec::run(arguments).await,
        Command::Call(Call::Twilio(arguments)) => twilio::run(arguments).await,
        Command::Chaos(arguments) => runs::chaos::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Drain(arguments) => runs::drain::run(arguments).await,
        Command::Load(arguments) => load::run(arguments).await,
        Command::Long(arguments) => runs::long::run(arguments).await,
        Command::Overload(arguments) => runs::overload::run(arguments).await,
        Command::Service(Service::Assemblyai(arguments)) => {
            assemblyai::args::run(arguments, stop()).await
        }
        Command::Service(Service::Autotranscribe(arguments)) => {
            autotranscribe::args::run(arguments, stop()).await
        }
        Command::Service(Service::Deepgram(arguments)) => {
            deepgram::args::run(arguments, stop()).await
        }
        Command::Service(Service::Vosk(arguments)) => vosk::args::run(arguments, stop()).await,
        Command::Watch(arguments) => watch::run(arguments).await,
        Command::Webhook(arguments) => webhook::args::run(arguments, stop()).await,
    }
}

/// SIGINT or SIGTERM.
async fn stop() {
    let mut terminated = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminated {
            Some(signal) => signal.recv().await,
            // Without a handler the signal ends the process by itself.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
