//! What the hub is known by: made once, by whichever node comes first.

use crate::domain::position::Epoch;
use crate::redis::{Link, LinkError, Names, Partition, Server};

use crate::store::StoreError;

use super::answer::Answer;
use super::call::Failure;
use super::options::OpenError;
use super::script;

/// The newest format of keys and values that this code knows.
const FORMAT: u64 = 1;

/// Epoch and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    pub(super) secret: [u8; 16],
}

/// Reads it, and makes it where there is none.
pub(super) async fn read(server: &mut Server, names: &Names) -> Result<Identity, OpenError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| OpenError::Damaged)?;
    let (secret, epoch) = random.split_at(16);
    // In 53 bits, which scripts count in.
    let epoch = epoch.first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes) >> 12).max(1);
    let mut invocation = script::IDENTITY.key(names.partition(Partition::of_hub()));
    invocation.arg(FORMAT).arg(epoch).arg(secret);
    let value = invocation.invoke_async::<redis::Value>(&mut server.connection).await;
    let value = value.map_err(|error| StoreError::from(Failure::of(&error)))?;
    let mut answer = Answer::new(value);
    let format = answer.count()?;
    if format > FORMAT {
        return Err(OpenError::Newer { found: format, known: FORMAT });
    }
    let epoch = Epoch(answer.count()?);
    let secret = answer.some_bytes()?.try_into().map_err(|_| OpenError::Damaged)?;
    if format == 0 || epoch.0 == 0 {
        return Err(OpenError::Damaged);
    }
    Ok(Identity { epoch, secret })
}

/// Looks at a connection that was opened: it knows the scripts, and where it leads to the identity that is the one which is
/// known.
pub(super) async fn check(
    names: Names,
    link: Link,
    mut server: Server,
    known: Option<Identity>,
) -> Result<(), LinkError> {
    for script in script::all() {
        // What is not loaded here calls load.
        let _ = script.load_async(&mut server.connection).await;
    }
    let Some(known) = known.filter(|_| link.is_owner(&server, names.hub().as_bytes())) else { return Ok(()) };
    match read(&mut server, &names).await {
        Ok(found) if found == known => Ok(()),
        Ok(_) => Err(LinkError::Settings("it holds another hub's state: restart".into())),
        Err(error) => Err(LinkError::Settings(error.to_string().into())),
    }
}
