//! `carillon send`: one message, or one for each line of standard input.

use std::io::{IsTerminal, stdin};
use std::time::Duration;

use carillon_client::{Client, CommandError, text, v1};
use clap::Args;
use futures::stream::{FuturesOrdered, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};

use super::pairs;
use crate::args::ConnectArgs;
use crate::output::{Output, line};
use crate::render::json;
use crate::stdin;
use tally::Tally;

mod tally;

/// Messages without an acknowledgement yet: what a hub takes from one session.
const IN_FLIGHT: usize = 64;
/// Lines after which a progress bar shows.
const MANY: u64 = 100;

/// Send a message, or one for each line of standard input.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendArgs {
    /// The room.
    room: String,
    /// The message. Without it, each line of standard input that is not empty is one.
    text: Vec<String>,
    /// The message that this answers.
    #[arg(long, value_name = "SEQ")]
    reply_to: Option<u64>,
    /// For the application; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair)]
    attribute: Vec<(String, String)>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Sends them. Each is acknowledged when this returns.
pub(crate) async fn run(args: SendArgs, output: Output) -> anyhow::Result<()> {
    let (client, events) = args.connect.client(carillon_client::ClientOptions::discard_events).await?;
    drop(events);
    let message = v1::MessageSend {
        room: args.room.clone(),
        reply_to: args.reply_to,
        attributes: pairs::map(args.attribute.clone()),
        content: None,
    };
    let outcome = if args.text.is_empty() {
        send_lines(&client, &message, output).await
    } else {
        let message = v1::MessageSend { content: Some(text(args.text.join(" "))), ..message };
        let sent = client.send_message(message).await?;
        Ok(output
            .data(&json::sent(&sent), || format!("sent as #{}", sent.position.unwrap_or_default().seq))?)
    };
    client.close().await;
    outcome
}

/// Sends the lines as they come, in their order, without waiting for one before the next. After the first that fails no
/// more are taken.
async fn send_lines(client: &Client, message: &v1::MessageSend, output: Output) -> anyhow::Result<()> {
    if stdin().is_terminal() {
        output.hint("type messages, one a line; end with Ctrl-D");
    }
    let mut lines = stdin::lines();
    let mut under_way = FuturesOrdered::new();
    let mut progress = Progress::new(output);
    let mut tally = Tally::default();
    let mut open = true;
    let mut number: u64 = 0;
    while open || !under_way.is_empty() {
        tokio::select! {
            line = lines.recv(), if open && under_way.len() < IN_FLIGHT => match line {
                None => open = false,
                Some(Err(error)) => {
                    let what = format!("cannot read line {} of standard input", number + 1);
                    tally.fail(anyhow::Error::new(error).context(what));
                    open = false;
                }
                Some(Ok(line)) => {
                    number += 1;
                    if !line.is_empty() {
                        let message = v1::MessageSend { content: Some(text(line)), ..message.clone() };
                        under_way.push_back(send_line(client, number, message));
                    }
                }
            },
            Some((number, sent)) = under_way.next() => {
                if let Some(sent) = tally.count(number, sent) {
                    progress.sent(number, &sent, output);
                }
                open &= tally.is_good();
            }
        }
    }
    progress.finish();
    tally.outcome(number)?;
    progress.printed
}

async fn send_line(
    client: &Client,
    number: u64,
    message: v1::MessageSend,
) -> (u64, Result<v1::MessageSent, CommandError>) {
    loop {
        match client.send_message(message.clone()).await {
            // The hub says when it takes more: piped lines can wait. Nothing was stored, so a new key is right.
            Err(CommandError::Refused(refusal)) if refusal.code == carillon_client::Code::RateLimited => {
                tokio::time::sleep(refusal.retry_after.unwrap_or(Duration::from_secs(1))).await;
            }
            outcome => return (number, outcome),
        }
    }
}

/// How far it is.
struct Progress {
    sent: u64,
    bar: ProgressBar,
    shows: bool,
    /// The first failure to print. What is piped in is sent all the same.
    printed: anyhow::Result<()>,
}

impl Progress {
    /// Shows only at a terminal, and not among JSON lines.
    fn new(output: Output) -> Self {
        let shows = !output.is_json() && std::io::stderr().is_terminal();
        Self { sent: 0, bar: ProgressBar::hidden(), shows, printed: Ok(()) }
    }

    fn sent(&mut self, number: u64, sent: &v1::MessageSent, output: Output) {
        self.sent += 1;
        if output.is_json() && self.printed.is_ok() {
            let mut value = json::sent(sent);
            value["line"] = number.into();
            self.printed = line(&value.to_string()).map_err(anyhow::Error::from);
        }
        if self.shows && self.sent == MANY {
            self.bar = ProgressBar::no_length().with_style(
                ProgressStyle::with_template("{spinner} {human_pos} sent, {per_sec}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
        }
        self.bar.set_position(self.sent);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        if self.shows {
            eprintln!("sent {} messages", self.sent);
        }
    }
}
