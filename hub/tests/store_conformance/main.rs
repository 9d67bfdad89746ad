//! The conformance suite of the store port. Every adapter passes it as it is: implement [`harness::Fixture`] and name it
//! in `conformance!`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

mod harness;

mod appends;
mod audit;
mod changes;
mod conditions;
mod erasure;
mod events;
mod idempotency;
mod in_cluster;
mod inbox;
mod marks;
mod members;
mod messages;
mod model;
mod pages;
mod read_mark;
mod redis;
mod redis_inbox;
mod retention;
mod revocations;
mod rooms;
mod services;
mod sqlite;
mod stored;
mod unread;

/// Makes one test of each idea for an adapter.
macro_rules! conformance {
    ($fixture:ty: $($idea:ident { $($test:ident),+ $(,)? })+) => {
        $(mod $idea {
            $(#[tokio::test]
            async fn $test() {
                crate::$idea::$test::<$fixture>().await;
            })+
        })+
    };
    ($fixture:ty) => {
        crate::conformance! { $fixture:
            appends { gives_places_without_holes, concurrent_appends_are_ordered, time_never_goes_backwards, keeps_every_kind_of_entry, survives_reopening }
            changes { are_told_in_commit_order_before_the_acknowledgement }
            conditions { of_rooms, of_members, of_messages, nothing_is_stored_in_part, are_atomic_within_a_group, refuse_what_is_not_of_the_home }
            erasure { blanks_what_a_user_wrote, is_harmless_when_repeated, is_joined_when_repeated_meanwhile, reaches_what_is_written_meanwhile, goes_through_long_rooms, reaches_the_edits_of_each_message, reaches_notifications_that_wait, ends_when_the_store_closes }
            events { last_of_each_key, state_is_bounded, emptied_keys_make_place }
            idempotency { repeats_the_first_result, concurrent_retries_append_once, survive_reopening, another_content_is_refused, scope_is_tenant_actor_home_and_key, too_many_keys_are_refused, expire, the_oldest_give_way, one_that_is_used_again_is_a_young_one, of_inbox_and_tenant }
            inbox { merges_and_pages, pages_are_bounded_in_bytes, read_and_delete, broadcasts_reach_whom_the_directory_knew, expired_are_neither_listed_nor_counted, filters, filters_look_at_so_many, survives_reopening, to_many_arrives_once, an_id_that_comes_again_is_the_newer_one, what_has_ended_is_removed }
            marks { only_grow, unread_counts_messages, begin_where_one_joins, are_read_of_many, survive_reopening }
            members { find_the_room_once_they_were_added, come_change_and_go, history_before_joining, page_in_order, are_found_among_users, survive_reopening }
            messages { edits, deletions_blank_edits, reactions, reactions_are_bounded, settled_ones_too, changes_of_messages_survive_reopening }
            model { random_outcomes_match_the_model }
            pages { after_and_before, bounded_by_items_and_bytes, bounded_by_whole_entries, while_others_append, of_rooms_that_do_not_exist }
            read_mark { says_what_is_read_and_nothing_else_does, holds_for_what_expires, is_exact_among_thousands, is_exact_where_all_have_expired, goes_with_what_was_erased, random_changes_of_many_match_a_count }
            retention { by_count, by_age, of_other_rules_after_a_restart, of_rooms_under_constant_load, of_a_room_that_is_read_from_its_beginning }
            audit { the_last_of_each_hour_is_kept, survives_a_restart }
            revocations { are_told_kept_and_paged, the_later_instant_counts, go_when_their_token_has_ended, go_when_nothing_is_left_that_they_reach }
            rooms { are_listed_by_prefix, of_a_user, are_paged_by_items_and_bytes, unread_ones_are_looked_for_in_bounds, direct_ones_name_the_peer, a_page_tells_nothing_of_others_rooms, tenants_are_isolated }
            services { have_keys_of_their_own, find_what_was_kept_as_a_users, have_no_marks, have_nothing_else_that_is_a_users, are_not_erased_with_a_user, keep_their_messages_whatever_is_done_to_them, keep_their_events_where_a_user_is_erased }
            stored { follows_every_change, falls_with_retention_and_erasure, is_of_one_tenant, grows_by_no_more_than_was_set_aside, is_kept_within_a_limit_by_all_who_write_at_once }
            unread { what_changes_nothing_is_told_nobody, is_counted_up_to_a_bound, random_changes_match_the_model }
        }
    };
}
pub(crate) use conformance;
