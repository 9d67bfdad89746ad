//! Many messages, and that all who followed agree on them.

use std::collections::BTreeMap;

use carillon_client::Client;
use futures::{StreamExt, TryStreamExt};

use super::copy::Copy;
use super::fault::{Fault, Outcome, same};

/// What was acknowledged: the text at each seq.
pub(super) type Sent = BTreeMap<u64, String>;

/// Sends these texts, so many at once. The acknowledged seqs must ascend: a session's commands are done in order.
pub(super) async fn send_all(client: &Client, room: &str, texts: &[String], at_once: usize) -> Outcome<Sent> {
    let send = |text: &String| {
        let (client, room, text) = (client.clone(), room.to_owned(), text.clone());
        async move {
            let sent = client.send(room, text.clone()).await?;
            let seq = sent.position.unwrap_or_default().seq;
            Ok::<_, Fault>((seq, text))
        }
    };
    let acknowledged: Vec<_> =
        futures::stream::iter(texts.iter().map(send)).buffered(at_once).try_collect().await?;
    if !acknowledged.is_sorted_by(|(earlier, _), (later, _)| earlier < later) {
        let seqs: Vec<_> = acknowledged.iter().map(|(seq, _)| seq).collect();
        return Err(Fault::Broken(format!("one session's sends are out of order: {seqs:?}")));
    }
    Ok(acknowledged.into_iter().collect())
}

/// Adds what another sent. No two may have the same seq.
pub(super) fn add(all: &mut Sent, more: Sent) -> Outcome<()> {
    for (seq, text) in more {
        if let Some(other) = all.insert(seq, text) {
            return Err(Fault::Broken(format!("seq {seq} was acknowledged twice, first for {other:?}")));
        }
    }
    Ok(())
}

/// The texts `NAME 0`, `NAME 1`, and so on.
pub(super) fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

/// That what was sent fills the log from `first` on, and that each copy that begins there holds just that.
pub(super) fn agree<'a>(copies: impl IntoIterator<Item = &'a Copy>, sent: &Sent, first: u64) -> Outcome<()> {
    let seqs: Vec<_> = sent.keys().copied().collect();
    same("acknowledged seqs", seqs, (first..first + sent.len() as u64).collect())?;
    let mut reference: Option<&Copy> = None;
    for copy in copies {
        same("entries of a copy", copy.entries().len(), sent.len())?;
        for (entry, (seq, text)) in copy.entries().iter().zip(sent) {
            same("an entry", (entry.seq, entry.text.as_str()), (*seq, text.as_str()))?;
        }
        let reference = *reference.get_or_insert(copy);
        copy.is_like("another receiver", reference)?;
    }
    Ok(())
}
