//! Revocations: few, all in one partition.

use crate::domain::names::{TenantId, UserId};
use crate::domain::position::Tag;
use crate::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use crate::domain::time::Timestamp;
use crate::redis::{Partition, Reader};
use crate::store::{Change, RevocationPage, StoreError};

use super::answer::damaged;
use super::call::Call;
use super::publish;
use super::script;
use super::shared::Shared;

const TOKEN: u8 = b'1';
const USER: u8 = b'2';
const SERVICE: u8 = b'3';
const EVERYBODY: u8 = b'4';

/// What names a revocation, and its instant. Kind, tenant (empty for all), a slash, then the subject.
pub(super) fn subject(revocation: &Revocation) -> (Vec<u8>, Timestamp) {
    let (kind, subject, instant): (u8, &[u8], Timestamp) = match &revocation.what {
        Revoked::Token { id, ends } => (TOKEN, &id.0, *ends),
        Revoked::User { user, before } => (USER, user.as_str().as_bytes(), *before),
        Revoked::Service { name, before } => (SERVICE, name.as_str().as_bytes(), *before),
        Revoked::Everybody { before } => (EVERYBODY, b"", *before),
    };
    let tenant = match &revocation.scope {
        Scope::Everywhere => "",
        Scope::Tenant(tenant) => tenant.as_str(),
    };
    let mut name = vec![kind];
    name.extend_from_slice(tenant.as_bytes());
    name.push(b'/');
    name.extend_from_slice(subject);
    (name, instant)
}

/// A revocation from what names it.
fn read(name: &[u8], instant: Timestamp) -> Result<Revocation, StoreError> {
    let mut from = Reader::new(name);
    let kind = from.u8()?;
    let slash = from.rest().iter().position(|byte| *byte == b'/').ok_or_else(|| damaged("a revocation"))?;
    let tenant = from.take(slash)?;
    from.u8()?;
    let scope = if tenant.is_empty() {
        Scope::Everywhere
    } else {
        let text = std::str::from_utf8(tenant).map_err(|_| damaged("a revocation"))?;
        Scope::Tenant(TenantId::parse(text).map_err(|_| damaged("a revocation"))?)
    };
    let user = || -> Result<UserId, StoreError> { super::state::user(from.rest()) };
    let what = match kind {
        TOKEN => {
            let id = from.rest().try_into().map_err(|_| damaged("a revocation"))?;
            Revoked::Token { id: TokenId(id), ends: instant }
        }
        USER => Revoked::User { user: user()?, before: instant },
        SERVICE => Revoked::Service { name: user()?, before: instant },
        EVERYBODY => Revoked::Everybody { before: instant },
        _ => return Err(damaged("a revocation of an unknown kind")),
    };
    Ok(Revocation { scope, what })
}

/// Keeps one; on the store's thread, as everybody is told before the caller.
pub(super) async fn revoke(shared: &Shared, revocation: Revocation) -> Result<(), StoreError> {
    let (name, instant) = subject(&revocation);
    let kind = name.first().map_or(0, |kind| kind - b'0');
    let call = Call::new(&script::REVOKE, shared, Partition::of_hub())
        .arg(&name)
        .arg(kind)
        .arg(instant.millis())
        .arg(shared.scripts_publish_with())
        .arg(&shared.head().to_bytes()[..])
        .arg(&name);
    call.write_durably(shared).await?;
    let told = [Change::Revoked(revocation)];
    publish::publish(shared, &told, Tag(0)).await?;
    shared.acknowledged.note(&told);
    shared.tell(&told);
    Ok(())
}

/// What time it is where revocations are kept.
pub(super) async fn time(shared: &Shared) -> Result<Timestamp, StoreError> {
    let server = shared.link.server(shared.names.hub().as_bytes()).ok_or(StoreError::Unavailable)?;
    shared.time_of(&server).await
}

/// A page, in order. Whoever reads one can give it again.
pub(super) async fn page(shared: &Shared, after: u64, most: u32) -> Result<RevocationPage, StoreError> {
    let call = Call::new(&script::REVOCATIONS, shared, Partition::of_hub());
    let now = shared.options.forgets_by.as_ref().map(|clock| clock().millis().to_string());
    let kept = shared.options.revoked_for.map(|kept| kept.as_millis().to_string());
    let [now, kept] = [now, kept].map(Option::unwrap_or_default);
    let call = call.arg(after).arg(most).arg(now.as_bytes()).arg(kept.as_bytes());
    let mut answer = call.ask(shared).await?;
    let mut page = RevocationPage { revocations: Vec::new(), last: after, more: false };
    while answer.len() > 0 {
        let name = answer.some_bytes()?;
        let place = answer.some_bytes()?;
        let mut from = Reader::new(&place);
        page.last = from.u64()?;
        let revocation = read(&name, Timestamp(from.i64()?))?;
        shared.acknowledged.revoked.learn(&revocation);
        page.revocations.push(revocation);
    }
    page.more = page.revocations.len() == most as usize;
    Ok(page)
}
