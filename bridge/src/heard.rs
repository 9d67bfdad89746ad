//! Who calls from an address that has too many connections or attempts, and is heard all the same: so many at a time, and not for
//! long. With a good token they are let in, whatever others at their address do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::addresses::network;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

/// So many are heard within [`HEARD_FOR`]: each may cost a handshake, and the hub a token to judge. More are told to wait at once.
const HEARD: usize = 64;
/// So many of them of one address (an IPv6 network of /64): it keeps nobody at another from being heard.
pub(crate) const HEARD_OF_ADDRESS: usize = 16;
/// How long one has to show a good token.
const HEARD_FOR: Duration = Duration::from_secs(5);

/// Those that are heard, by address. A clone shares them.
#[derive(Clone, Default)]
pub(crate) struct Hearings(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Hearings {
    /// Hears one of this address, which has to wait for this long; `None` where too many are heard, of it or of all.
    pub(crate) fn hear(&self, address: IpAddr, wait: Duration) -> Option<Heard> {
        let address = network(address);
        let mut heard = self.0.lock();
        let held = heard.get(&address).copied().unwrap_or(0);
        if held >= HEARD_OF_ADDRESS || heard.values().sum::<usize>() >= HEARD {
            return None;
        }
        heard.insert(address, held + 1);
        drop(heard);
        let now = Instant::now();
        let place = Some(Taken { hearings: self.clone(), address });
        Some(Heard { place, until: now + HEARD_FOR, waits_until: now + wait })
    }
}

/// The place of one that is heard.
struct Taken {
    hearings: Hearings,
    address: IpAddr,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut heard = self.hearings.0.lock();
        if let Some(held) = heard.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                heard.remove(&self.address);
            }
        }
    }
}

/// One that is heard. Dropping it says that nobody became known: then its place is taken for the whole time, also where it leaves
/// at once, which bounds how many there are in a time.
pub(crate) struct Heard {
    place: Option<Taken>,
    /// Until when.
    pub(crate) until: Instant,
    /// When its address need not wait any more.
    pub(crate) waits_until: Instant,
}

impl Heard {
    /// How long its address has to wait yet, at least 1 ms.
    pub(crate) fn wait(&self) -> Duration {
        rest(self.waits_until)
    }

    /// It is known whose it is.
    pub(crate) fn succeeded(mut self) {
        self.place = None;
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // Where no runtime is left nobody is heard any more.
        if let Some(place) = self.place.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let until = self.until;
            runtime.spawn(async move {
                sleep_until(until).await;
                drop(place);
            });
        }
    }
}

/// How long it is until then, at least 1 ms.
pub(crate) fn rest(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn addresses() -> impl Iterator<Item = IpAddr> {
        (1..).map(|n| IpAddr::from([192, 0, 2, n]))
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_heard_in_a_time_and_whoever_is_known_takes_no_place() {
        let hearings = Hearings::default();
        let [here, elsewhere] = [1, 2].map(|n| IpAddr::from([198, 51, 100, n]));
        for _ in 0..3 * HEARD {
            hearings.hear(here, MINUTE).expect("those before are known").succeeded();
        }
        let each_so_many = |address| std::iter::repeat_n(address, HEARD_OF_ADDRESS);
        let all = addresses().flat_map(each_so_many).take(HEARD);
        let heard: Vec<_> = all.map(|address| hearings.hear(address, MINUTE)).collect();
        assert!(heard.iter().all(Option::is_some) && hearings.hear(here, MINUTE).is_none());
        tokio::time::advance(HEARD_FOR / 2).await;
        assert_eq!(heard[0].as_ref().unwrap().wait() + HEARD_FOR / 2, MINUTE);
        drop(heard);
        tokio::task::yield_now().await;
        assert!(hearings.hear(elsewhere, MINUTE).is_none(), "they have left, and are counted yet");
        tokio::time::advance(HEARD_FOR).await;
        for _ in 0..HEARD {
            tokio::task::yield_now().await;
        }
        assert!(hearings.hear(here, MINUTE).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_keeps_nobody_else_from_being_heard() {
        let hearings = Hearings::default();
        // All of an IPv6 network of /64 are one.
        let of_one = (0..).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        let heard: Vec<_> = of_one.take(HEARD).filter_map(|address| hearings.hear(address, MINUTE)).collect();
        assert_eq!(heard.len(), HEARD_OF_ADDRESS);
        let other = addresses().next().unwrap();
        hearings.hear(other, MINUTE).expect("another address is heard").succeeded();
    }
}
