//! The audit log: whether it is whole, and where it stood.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use carillon_client::{AdminClient, v1};
use carillon_hub::audit::{Report, SealKey, Verifier, files, for_each_line};
use carillon_hub::domain::audit::{ChainHead, ChainId, Seal};
use carillon_hub::domain::time::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::args::ConnectArgs;
use crate::output::Output;

/// Whether the audit log is whole, and where it stood.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AuditCommand {
    /// Print where the hub's log stood, as it noted now and then: keep it where nobody who could change the log can.
    Heads,
    /// Go over a log: say what was changed, taken out, reordered, cut off or rewritten. Exit code 1 where anything was.
    Verify(VerifyArgs),
}

#[derive(Clone, Debug, Args)]
struct VerifyArgs {
    /// The folder of the log, files of it in order, or - for standard input [default: audit in the data folder].
    log: Vec<PathBuf>,
    /// A file with the key [default: audit-key in the data folder].
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file with what `audit heads --json` printed, instead of asking the hub.
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

pub(crate) async fn audit(
    connect: &ConnectArgs,
    tenant: Option<&str>,
    args: AuditArgs,
    output: Output,
) -> anyhow::Result<()> {
    match args.command {
        AuditCommand::Heads => print_heads(&ask(&connect.operator(tenant)?).await?, output),
        AuditCommand::Verify(args) => {
            let heads = match &args.heads {
                Some(file) => read_heads(file)?,
                None => ask(&asked(connect, tenant)?).await?,
            };
            let report = verify(&connect.data(), &args, &heads)?;
            let printed = print_report(&report, output);
            // The verdict comes first, whatever became of what was printed.
            match report.findings.len() {
                0 => printed,
                found => bail!("the log is not as it was written: {found} found"),
            }
        }
    }
}

/// The hub that is asked where its log stood; without any token it need not be.
fn asked(connect: &ConnectArgs, tenant: Option<&str>) -> anyhow::Result<AdminClient> {
    let is_told_who = connect.token().is_some() || connect.as_name.is_some();
    connect.operator(tenant).map_err(|error| if is_told_who { error } else { anyhow!(WHERE_IT_STOOD) })
}

/// What to do where there is neither a token nor a file.
const WHERE_IT_STOOD: &str = "where the log stood is not known: give --heads with a file of what `carillon admin audit heads --json` \
    printed, and nothing but the log and its key are read; or ask the hub with an operator's --token";

async fn ask(admin: &AdminClient) -> anyhow::Result<Vec<ChainHead>> {
    let heads = admin.list_audit_heads().await?.heads;
    heads.iter().map(|head| of_wire(head).context("the hub's heads cannot be read")).collect()
}

fn of_wire(head: &v1::AuditHead) -> Option<ChainHead> {
    Some(ChainHead {
        chain: ChainId::parse(&head.chain)?,
        seq: head.seq,
        seal: Seal(head.seal.as_ref().try_into().ok()?),
        time: Timestamp(head.time_ms),
    })
}

fn print_heads(heads: &[ChainHead], output: Output) -> anyhow::Result<()> {
    for head in heads {
        let (chain, seal) = (head.chain.to_string(), head.seal.to_string());
        let value = json!({"chain": chain, "seq": head.seq, "seal": seal, "time_ms": head.time.millis()});
        output.data(&value, || format!("{chain}  line {:<10} {seal}", head.seq))?;
    }
    Ok(())
}

/// What [`print_heads`] printed as JSON lines.
fn read_heads(file: &Path) -> anyhow::Result<Vec<ChainHead>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(ChainHead {
            chain: ChainId::parse(value["chain"].as_str()?)?,
            seq: value["seq"].as_u64()?,
            seal: Seal::parse(value["seal"].as_str()?)?,
            time: Timestamp(value["time_ms"].as_i64()?),
        })
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| read(line).with_context(|| format!("{}: line {}: no head", file.display(), n + 1)))
        .collect()
}

fn verify(data: &Path, args: &VerifyArgs, heads: &[ChainHead]) -> anyhow::Result<Report> {
    let key_file = args.key_file.clone().unwrap_or_else(|| data.join("audit-key"));
    let key = std::fs::read(&key_file).with_context(|| format!("{} cannot be read", key_file.display()))?;
    let key = SealKey::new(key.trim_ascii())
        .with_context(|| format!("{}: a key has 32 bytes at least", key_file.display()))?;
    let mut verifier = Verifier::new(&key, heads);
    let log = if args.log.is_empty() { vec![data.join("audit")] } else { args.log.clone() };
    let mut all = true;
    for path in &log {
        let unreadable = || format!("{} cannot be read", path.display());
        if path.as_os_str() == "-" {
            // What collects standard output keeps it for as long as it likes.
            all = false;
            for line in std::io::stdin().lock().lines() {
                verifier.line(&line?);
            }
        } else if path.is_dir() {
            for file in files(path).with_context(unreadable)? {
                for_each_line(&file, |line| verifier.line(line)).with_context(unreadable)?;
            }
        } else {
            all = false;
            for_each_line(path, |line| verifier.line(line)).with_context(unreadable)?;
        }
    }
    Ok(verifier.finish(all))
}

fn print_report(report: &Report, output: Output) -> anyhow::Result<()> {
    let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    let Report { lines, first, last, lost, heads, .. } = report;
    let value = json!({
        "lines": lines, "first": first, "last": last, "lost": lost, "heads": heads, "findings": findings,
    });
    output.data(&value, || {
        let noted =
            format!("{lines} lines, {first} to {last}; {heads} places noted in the store are as noted");
        let lost = match lost {
            0 => String::new(),
            lost => format!("; {lost} lines could not be written, as the log says itself"),
        };
        findings.iter().map(String::as_str).chain([&*(noted + &lost)]).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}
