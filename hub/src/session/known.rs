//! Whose a token is, before it is asked what they may do: a token that was revoked is nobody's.

use crate::access::authentication::{ServiceTenants, Verified};
use crate::access::revocation::Bearer;
use crate::access::tickets::Tickets;
use crate::domain::caller::Whose;
use crate::domain::command::Token;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::time::Timestamp;

use super::services::{Services, bearer_of};

impl Services {
    /// Whose a token is that is good. A ticket is left as it is: it is good once, for the call itself; one of all nodes is not
    /// good here before it is exchanged.
    pub fn whose(&self, token: &Token, now: Timestamp) -> Result<Verified, Refusal> {
        let verified = if Tickets::is_ticket(&token.0) {
            self.tickets.look(&token.0, now)?
        } else {
            self.identify(token, now)?
        };
        self.check_bearer(&verified)?;
        Ok(verified)
    }

    /// Which service a call with this token is of, of whatever tenants: it is read then. `PERMISSION_DENIED` for users'.
    pub fn service_of(&self, token: &Token, now: Timestamp) -> Result<Whose, Refusal> {
        match self.whose(token, now)? {
            Verified::Service(service) => Ok(service.whose()),
            user @ Verified::User(_) => Err(Refusal::from(ErrorCode::PermissionDenied).of(user.whose())),
        }
    }

    /// Why a token is good no more, as far as this is known: a service's is where it is in none of its tenants.
    pub(super) fn check_bearer(&self, verified: &Verified) -> Result<(), Refusal> {
        let checked = match verified {
            Verified::User(token) => {
                let bearer = Bearer { name: &token.user, service: false, mark: &token.mark };
                self.revocations.check(Some(&token.tenant), &bearer)
            }
            Verified::Service(token) => {
                let bearer = bearer_of(token);
                let tenants = match &token.tenants {
                    ServiceTenants::All => &[][..],
                    ServiceTenants::Listed(tenants) => tenants,
                };
                let mut checked = self.revocations.check(None, &bearer);
                for tenant in tenants {
                    checked = self.revocations.check(Some(tenant), &bearer);
                    if checked.is_ok() {
                        break;
                    }
                }
                checked
            }
        };
        checked.map_err(|refusal| refusal.of(verified.whose()))
    }
}
