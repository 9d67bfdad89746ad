//! `carillon send`: one message, or one for each line of standard input.

use std::io::{IsTerminal, stdin};

use anyhow::Context;
use carillon_client::{Client, CommandError, text, v1};
use clap::Args;
use futures::stream::{FuturesOrdered, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::pairs;
use crate::args::ConnectArgs;
use crate::output::{Output, line};
use crate::render::json;
use crate::stdin;
use flow::{Flow, Line};
use tally::Tally;

mod flow;
mod tally;

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

/// Sends the lines as they come, in their order, without waiting for one before the next. Where the hub puts one off
/// nothing new goes out before it. After the first that fails no more are taken.
async fn send_lines(client: &Client, message: &v1::MessageSend, output: Output) -> anyhow::Result<()> {
    if stdin().is_terminal() {
        output.hint("type messages, one a line; end with Ctrl-D");
    }
    let mut lines = stdin::lines();
    let mut under_way = FuturesOrdered::new();
    let mut progress = Progress::new(output);
    let (mut flow, mut tally) = (Flow::new(Instant::now()), Tally::default());
    let mut open = true;
    let mut number: u64 = 0;
    loop {
        if under_way.is_empty() {
            match flow.again() {
                Some((when, line)) => {
                    tokio::time::sleep_until(when).await;
                    under_way.push_back(send_line(client, message, line));
                }
                None if !open => break,
                None => {}
            }
        }
        tokio::select! {
            line = lines.recv(), if open && flow.takes(under_way.len()) => match line {
                None => open = false,
                Some(line) => {
                    number += 1;
                    match taken(number, line) {
                        Ok(line) if line.text.is_empty() => {}
                        Ok(line) => under_way.push_back(send_line(client, message, line)),
                        Err(error) => tally.fail(error),
                    }
                }
            },
            Some((line, outcome)) = under_way.next() => {
                settle(&line, outcome, &mut flow, &mut tally, |number, sent| progress.sent(number, sent, output));
            }
        }
        open &= tally.is_good();
    }
    progress.finish();
    tally.warn();
    tally.outcome(number)?;
    progress.printed
}

/// A line as it was read.
fn taken(number: u64, line: std::io::Result<String>) -> anyhow::Result<Line> {
    let text = line.with_context(|| format!("cannot read line {number} of standard input"))?;
    let mut key = vec![0; 16];
    getrandom::fill(&mut key).context("there are no random numbers for a key")?;
    Ok(Line { number, text, key, in_doubt: false })
}

async fn send_line(
    client: &Client,
    message: &v1::MessageSend,
    line: Line,
) -> (Line, Result<v1::MessageSent, CommandError>) {
    let message = v1::MessageSend { content: Some(text(line.text.clone())), ..message.clone() };
    let sent = client.with_key(line.key.clone()).send_message(message).await;
    (line, sent)
}

/// Takes the hub's answer to a line: it is stored, or goes out again, or ends it all.
fn settle(
    line: &Line,
    outcome: Result<v1::MessageSent, CommandError>,
    flow: &mut Flow,
    tally: &mut Tally,
    show: impl FnOnce(u64, &v1::MessageSent),
) {
    match &outcome {
        Ok(sent) => {
            if flow.acknowledged(line.number) {
                tally.overtook(line.number);
            }
            show(line.number, sent);
        }
        Err(error) if tally.is_good() && flow.puts_off(line, error, Instant::now()) => return,
        Err(_) => {}
    }
    tally.count(line, outcome);
    if !tally.is_good() {
        for (line, error) in flow.gives_up() {
            tally.count(&line, Err(error));
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
