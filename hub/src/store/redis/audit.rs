//! Where chains of audit lines stood: few, all in one partition.

use crate::domain::audit::{ChainHead, ChainId, Seal};
use crate::domain::time::Timestamp;
use crate::redis::{Partition, Reader};
use crate::store::StoreError;

use super::answer::{Answer, damaged};
use super::call::Call;
use super::limits::AUDIT_HEADS;
use super::script;
use super::shared::Shared;

/// Notes a head instead of the others of its hour.
pub(super) async fn anchor(shared: &Shared, head: ChainHead) -> Result<(), StoreError> {
    let call = Call::new(&script::ANCHOR, shared, Partition::of_hub())
        .arg(&head.chain.0.to_be_bytes()[..])
        .arg(head.seq)
        .arg(head.time.millis())
        .arg(&head.seal.0[..])
        .arg(AUDIT_HEADS);
    call.write_durably(shared).await.map(drop)
}

/// What was noted, the oldest first.
pub(super) async fn heads(shared: &Shared) -> Result<Vec<ChainHead>, StoreError> {
    let mut command = redis::cmd("HVALS");
    command.arg(format!("{}/a", shared.names.hub()));
    let mut heads = Vec::new();
    for bytes in Answer::new(shared.send(&command).await?).all_bytes()? {
        let mut from = Reader::new(&bytes);
        let (seq, time) = (from.u64()?, Timestamp(from.i64()?));
        let chain = from.take(8)?.try_into().map_err(|_| damaged("an audit head"))?;
        let seal = from.rest().try_into().map_err(|_| damaged("an audit head"))?;
        heads.push(ChainHead { chain: ChainId(u64::from_be_bytes(chain)), seq, seal: Seal(seal), time });
    }
    heads.sort_unstable_by_key(|head| (head.time, head.chain, head.seq));
    Ok(heads)
}
