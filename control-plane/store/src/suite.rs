//! The conformance suite: what every backend promises, run on each of them. Call it by [`crate::conformance!`].

#![expect(clippy::unwrap_used, reason = "a suite fails where something is not as promised")]

mod audits;
mod bed;
mod bindings;
mod counters;
mod documents;
mod feeds;
mod logs;
mod meters;
mod samples;
mod traces;
mod views;

pub use self::{
    audits::*, bed::*, bindings::*, counters::*, documents::*, feeds::*, logs::*, meters::*, traces::*,
    views::*,
};

/// Makes one test of each promise. Its argument is an expression that gives a future of a [`Bed`].
#[macro_export]
macro_rules! conformance {
    ($bed:expr) => {
        $crate::promises!($crate::conformance_tests, $bed);
    };
}

/// Calls a macro with an expression and the names of all promises.
#[macro_export]
macro_rules! promises {
    ($with:path, $bed:expr) => {
        $with! { $bed;
            records_are_read_as_written_and_scanned_in_order
            a_change_names_what_it_expects_and_loses_nobody_elses
            g4_concurrent_changes_of_one_record_are_each_made_once
            index_values_are_unique_and_move_whole
            of_concurrent_claims_of_an_index_value_one_wins
            a_refused_change_leaves_no_trace
            records_past_their_life_are_swept
            g2_sealed_records_are_not_readable_in_the_store
            data_keys_and_master_keys_rotate
            g6_the_feed_tells_every_change_in_order
            a_compacted_or_unknown_revision_is_too_old
            g6_a_change_wakes_other_replicas
            replicas_hear_each_other
            the_identity_stays_over_a_reopening
            g8_every_change_has_its_entry_and_the_chain_is_whole
            g8_two_replicas_write_one_chain
            g8_a_trimmed_log_verifies_from_its_anchor
            g4_records_are_counted_at_most_once
            g4_of_concurrent_applies_one_counts
            rows_expire_raise_and_saturate
            row_names_page_by_prefix
            markers_and_rows_are_trimmed_by_age
            logs_read_newest_first_and_trim
            g3_steps_on_a_meter_are_serial
            g3_a_meter_of_the_store_is_the_pure_machine
            meters_are_listed_and_forgotten
            bindings_go_to_the_first_writer
            bindings_are_renewed_replaced_and_end
            bindings_are_listed_in_order
            bindings_are_looked_at_without_setting_them
            leadership_is_exclusive_and_fenced
            a_view_follows_and_survives_compaction
            g4_random_applies_agree_with_a_model
            random_changes_agree_with_a_model
        }
    };
}

/// One test per promise.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($bed:expr; $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let bed = $bed.await;
                $crate::suite::$promise(&bed).await;
                bed.close().await;
            }
        )+
    };
}

/// All promises one after the other, on beds that share what is dear to start.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_sequence {
    ($bed:expr; $($promise:ident)+) => {
        $(
            let bed = $bed.await;
            println!("{}", stringify!($promise));
            $crate::suite::$promise(&bed).await;
            bed.close().await;
        )+
    };
}
