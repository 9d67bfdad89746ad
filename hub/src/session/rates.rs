//! How often each may do what: by this node's buckets, or by those that all nodes share.

use std::time::Duration;

use crate::access::limits::{Level, Limited, Place};
use crate::bus::registry::limits::{SharedBucket, SharedLimits};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::RESUME_LOOKS;
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::domain::rate::Rate;
use crate::domain::time::Moment;

use super::services::Services;

impl Services {
    /// Takes one of the caller's bucket of a kind.
    pub(super) async fn take(
        &self,
        caller: &Caller,
        kind: Limited,
        room: Option<&RoomName>,
    ) -> Result<(), Refusal> {
        let limiter = &self.limits.limiter;
        let Some(shared) = self.shared_for(kind) else {
            return limiter.check(caller, kind, room, Moment::now());
        };
        let Some(place) = limiter.place(kind, room) else { return Ok(()) };
        let bucket = bucket(&caller.tenant, Some((&caller.user, caller.service)), kind, &place);
        self.take_shared(shared, bucket, kind, place.rate).await
    }

    /// Takes one of the bucket of all that a tenant sends.
    pub(super) async fn take_of_tenant(&self, tenant: &TenantId) -> Result<(), Refusal> {
        let limiter = &self.limits.limiter;
        let kind = Limited::TenantMessages;
        let Some(shared) = self.shared_for(kind) else { return limiter.check_tenant(tenant, Moment::now()) };
        let Some(place) = limiter.place(kind, None) else { return Ok(()) };
        self.take_shared(shared, bucket(tenant, None, kind, &place), kind, place.rate).await
    }

    /// Gives back what was taken for something that was not sent after all.
    pub(super) async fn give_back(&self, tenant: &TenantId) {
        let kind = Limited::TenantMessages;
        let limiter = &self.limits.limiter;
        match (self.shared_for(kind), limiter.place(kind, None)) {
            (Some(shared), Some(place)) => {
                // Where it cannot be given back now it fills by itself.
                let _ = shared.give_back(bucket(tenant, None, kind, &place), place.rate).await;
            }
            _ => limiter.give_back(tenant),
        }
    }

    /// How full the bucket of all that a tenant sends is; `None` where there is no such limit.
    pub async fn tenant_level(&self, tenant: &TenantId) -> Result<Option<Level>, Refusal> {
        let kind = Limited::TenantMessages;
        let limiter = &self.limits.limiter;
        let Some(shared) = self.shared_for(kind) else {
            return Ok(limiter.tenant_level(tenant, Moment::now()));
        };
        let Some(place) = limiter.place(kind, None) else { return Ok(None) };
        let left = shared.levels(vec![bucket(tenant, None, kind, &place)]).await.map_err(away)?;
        Ok(left.first().map(|left| level(kind, place, *left)))
    }

    /// How full the shared buckets are of a user, or a service of that name, as far as they are not full.
    pub(super) async fn shared_levels(
        &self,
        tenant: &TenantId,
        name: &UserId,
    ) -> Result<Vec<Level>, Refusal> {
        let Some(shared) = &self.shared else { return Ok(Vec::new()) };
        let (places, buckets) = self.shared_buckets(tenant, name);
        let left = shared.levels(buckets).await.map_err(away)?;
        let taken = places.into_iter().zip(left).filter(|(_, left)| !left.is_zero());
        Ok(taken.map(|((kind, place), left)| level(kind, place, left)).collect())
    }

    /// Fills them; without a name the bucket of all that the tenant sends. How many were not full.
    pub(super) async fn reset_shared(
        &self,
        tenant: &TenantId,
        name: Option<&UserId>,
    ) -> Result<u32, Refusal> {
        let Some(shared) = &self.shared else { return Ok(0) };
        let buckets = match name {
            Some(name) => self.shared_buckets(tenant, name).1,
            None => {
                let kind = Limited::TenantMessages;
                let place = self.shared_for(kind).and_then(|_| self.limits.limiter.place(kind, None));
                place.iter().map(|place| bucket(tenant, None, kind, place)).collect()
            }
        };
        shared.reset(buckets).await.map_err(away)
    }

    /// Whether all nodes take from one bucket of a kind.
    pub(super) fn shares(&self, kind: Limited) -> bool {
        self.shared_for(kind).is_some()
    }

    /// Waits until there is a room left that the caller may resume, of what all nodes count together, and takes it.
    pub(super) async fn wait_to_resume(&self, caller: &Caller) -> Result<(), Refusal> {
        let kind = Limited::Resume;
        let (Some(shared), Some(place)) = (self.shared_for(kind), self.limits.limiter.place(kind, None))
        else {
            return Ok(());
        };
        let bucket = bucket(&caller.tenant, Some((&caller.user, caller.service)), kind, &place);
        while let Some(after) = shared.take(bucket.clone(), place.rate).await.map_err(away)? {
            tokio::time::sleep(after.min(RESUME_LOOKS)).await;
        }
        Ok(())
    }

    fn shared_for(&self, kind: Limited) -> Option<&dyn SharedLimits> {
        self.shared.as_deref().filter(|_| self.limits.shared.contains(&kind))
    }

    async fn take_shared(
        &self,
        shared: &dyn SharedLimits,
        bucket: SharedBucket,
        kind: Limited,
        rate: Rate,
    ) -> Result<(), Refusal> {
        let tenant = bucket.tenant.clone();
        match shared.take(bucket, rate).await.map_err(away)? {
            None => Ok(()),
            Some(after) => {
                self.limits.limiter.count(&tenant, kind);
                Err(Refusal { retry_after: Some(after), ..ErrorCode::RateLimited.into() })
            }
        }
    }

    /// All that a user, and a service of the same name, may have taken from.
    fn shared_buckets(&self, tenant: &TenantId, name: &UserId) -> (Vec<(Limited, Place)>, Vec<SharedBucket>) {
        let kinds = self.limits.shared.iter().filter(|kind| **kind != Limited::TenantMessages);
        let places = kinds.flat_map(|kind| self.limits.limiter.places(*kind).map(|place| (*kind, place)));
        let both = places.flat_map(|(kind, place)| {
            [false, true].map(|service| {
                let bucket = bucket(tenant, Some((name, service)), kind, &place);
                ((kind, place.clone()), bucket)
            })
        });
        both.unzip()
    }
}

fn bucket(tenant: &TenantId, whose: Option<(&UserId, bool)>, kind: Limited, place: &Place) -> SharedBucket {
    SharedBucket {
        tenant: tenant.clone(),
        name: whose.map(|(name, _)| name.clone()),
        service: whose.is_some_and(|(_, service)| service),
        kind: kind.name(),
        namespace: place.namespace.clone(),
    }
}

/// A bucket that is full after so long.
fn level(kind: Limited, place: Place, full_after: Duration) -> Level {
    let Place { namespace, rate } = place;
    let taken = full_after.as_millis().div_ceil(rate.every.as_millis().max(1));
    let left = rate.burst.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
    Level { kind, namespace, left, burst: rate.burst }
}

fn away(_: crate::bus::BusError) -> Refusal {
    ErrorCode::Unavailable.into()
}
