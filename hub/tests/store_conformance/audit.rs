//! Where chains of audit lines stood.

use carillon_hub::domain::audit::{ChainHead, ChainId, Seal};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::Store;

use crate::harness::*;

const HOUR_MS: i64 = 3_600_000;

fn head(chain: u64, seq: u64, time: i64) -> ChainHead {
    ChainHead { chain: ChainId(chain), seq, seal: Seal([seq as u8; 32]), time: Timestamp(time) }
}

pub(crate) async fn the_last_of_each_hour_is_kept<F: Fixture>() {
    let scene = Scene::<F>::new();
    let begin = 100 * HOUR_MS;
    for (n, minutes) in [0, 20, 59, 60, 70, 200].into_iter().enumerate() {
        scene.store().anchor_audit(head(u64::MAX, n as u64 + 1, begin + minutes * 60_000)).await.unwrap();
    }
    scene.store().anchor_audit(head(1, 1, begin + 1)).await.unwrap();
    let kept: Vec<_> =
        scene.store().audit_heads().await.unwrap().iter().map(|h| (h.chain.0, h.seq)).collect();
    assert_eq!(kept, [(1, 1), (u64::MAX, 3), (u64::MAX, 5), (u64::MAX, 6)]);
}

pub(crate) async fn survives_a_restart<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let noted = [head(7, 1_000, HOUR_MS), head(7, 2_000, 3 * HOUR_MS)];
    for head in noted {
        scene.store().anchor_audit(head).await.unwrap();
    }
    scene.close_and_open().await;
    assert_eq!(scene.store().audit_heads().await.unwrap(), noted);
}
