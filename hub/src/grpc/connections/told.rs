//! Connections that are one too many and stay open for a moment to be told so: so many of one worker, and so many of them of
//! one address, so that nobody keeps others from hearing it.

use std::net::IpAddr;
use std::sync::Arc;

use carillon_net::addresses::network;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::limits::{TURNED_AWAY, TURNED_AWAY_OF_ADDRESS};

/// Those that are told now, by address. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<FxHashMap<IpAddr, usize>>>);

impl Told {
    /// A place for one of this address until it is given back; `None` where there is none.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut told = self.0.lock();
        let held = told.get(&address).copied().unwrap_or(0);
        if held >= TURNED_AWAY_OF_ADDRESS || told.values().sum::<usize>() >= TURNED_AWAY {
            return None;
        }
        told.insert(address, held + 1);
        Some(Place(Arc::new(Mutex::new(Some(Taken { told: self.clone(), address })))))
    }
}

/// The place of one that is told. A clone shares it.
#[derive(Clone)]
pub(in crate::grpc) struct Place(Arc<Mutex<Option<Taken>>>);

impl Place {
    /// Gives it back; again is harmless.
    pub(in crate::grpc) fn give_back(&self) {
        self.0.lock().take();
    }
}

struct Taken {
    told: Told,
    address: IpAddr,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut told = self.told.0.lock();
        if let Some(held) = told.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                told.remove(&self.address);
            }
        }
    }
}
