//! Memberships: added, ended, changed. A room never loses its last owner.

use crate::domain::entry::EntryBody;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::member::{Member, MembershipChange, Role};
use crate::domain::names::UserId;
use crate::store::{Condition, Write};

use super::case::{Case, Decision, other_owner, still};

/// A new member, of a role that the caller manages. CONFLICT where they are one with another role, or where the room
/// is full.
pub(super) fn add(case: &Case<'_>, user: &UserId, role: Role) -> Result<Decision, Refusal> {
    if !case.permit.manages(role) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    match &case.facts.target {
        Some(member) if member.role == role => Ok(as_they_are(case, member)),
        Some(_) => Err(ErrorCode::Conflict.into()),
        None => {
            let conditions =
                vec![Condition::MembersBelow(case.rules.member_limit), Condition::NotMember(user.clone())];
            Ok(case.commit(conditions, vec![membership(user, MembershipChange::Added, role)]))
        }
    }
}

/// A membership ends: the caller's own, or one of a role that the caller manages. CONFLICT for the last owner's.
pub(super) fn remove(case: &Case<'_>, user: &UserId) -> Result<Decision, Refusal> {
    let own = *user == case.caller.user && !case.caller.service;
    let target = case.target()?;
    if !own && !case.permit.manages(target.role) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    let mut conditions = vec![still(target)];
    if target.role == Role::Owner {
        conditions.push(other_owner(user));
    }
    let change = if own { MembershipChange::Left } else { MembershipChange::Removed };
    Ok(case.commit(conditions, vec![membership(user, change, target.role)]))
}

/// Another role for a member, of those that the caller manages. CONFLICT for the last owner's.
pub(super) fn change_role(case: &Case<'_>, user: &UserId, role: Role) -> Result<Decision, Refusal> {
    let target = case.target()?;
    if !case.permit.manages(target.role) || !case.permit.manages(role) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    if target.role == role {
        return Ok(as_they_are(case, target));
    }
    let mut conditions = vec![still(target)];
    if target.role == Role::Owner {
        conditions.push(other_owner(user));
    }
    Ok(case.commit(conditions, vec![membership(user, MembershipChange::RoleChanged, role)]))
}

/// The membership is as it shall be.
fn as_they_are(case: &Case<'_>, member: &Member) -> Decision {
    case.already(vec![still(member)], member.version, case.facts.entry.as_ref())
}

fn membership(user: &UserId, change: MembershipChange, role: Role) -> Write {
    Write::Append(EntryBody::Membership { user: user.clone(), change, role })
}
