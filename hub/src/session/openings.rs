//! How often sessions are opened from an address, whoever opens them: somebody with the tokens of many opens and closes them no
//! faster.

use std::net::IpAddr;
use std::time::Duration;

use carillon_net::addresses::network;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::limits::OPENING_ADDRESSES;
use crate::domain::rate::{Bucket, Rate};
use crate::domain::time::Moment;

/// What is left of each address' openings.
#[derive(Debug, Default)]
pub(super) struct Openings(Mutex<FxHashMap<IpAddr, Bucket>>);

impl Openings {
    /// Takes one of an address; an IPv6 network of /64 is one. Where there is none, says after how long there will be.
    pub(super) fn take(&self, address: IpAddr, rate: Rate, now: Moment) -> Result<(), Duration> {
        let mut addresses = self.0.lock();
        if addresses.len() >= OPENING_ADDRESSES {
            addresses.retain(|_, bucket| !bucket.is_full(now));
            if addresses.len() >= OPENING_ADDRESSES {
                // So many at once: all of them have a fresh bucket.
                addresses.clear();
            }
        }
        addresses.entry(network(address)).or_default().take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_and_few_are_known() {
        let (openings, rate) = (Openings::default(), Rate::new(2, Duration::from_secs(1)));
        let take = |address: &str| openings.take(address.parse().unwrap(), rate, Moment(1)).is_ok();
        let of_one = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"].map(take);
        assert_eq!(of_one, [true, true, false, true]);
        for n in 0..3 * OPENING_ADDRESSES as u32 {
            openings.take(IpAddr::V4(n.into()), rate, Moment(1)).unwrap();
        }
        assert!(openings.0.lock().len() <= OPENING_ADDRESSES);
    }
}
