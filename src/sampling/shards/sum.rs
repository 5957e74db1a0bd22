//! What shards count, added up.

use super::super::tail::{LogTally, TailTally, Unanswered, Volume};

/// Adds what one shard counted, all of it, so that what holds for each holds for the sum.
pub fn add_tally(sum: &mut TailTally, shard: &TailTally) {
    let TailTally {
        received,
        kept,
        dropped,
        untraced,
        dry_run,
        predicted_kept,
        predicted_dropped,
        held,
        early_certain,
        early_full,
        early_shutdown,
        early_trace_limit,
        early_provisional,
        prolonged,
        shed_kept,
        shed_dropped,
        compared,
        of_sessions,
        against_sessions,
        late_kept,
        late_dropped,
        unanswered,
        beyond_before: _,
    } = shard;
    for (sum, more) in [
        (&mut sum.received, received),
        (&mut sum.untraced, untraced),
        (&mut sum.dry_run, dry_run),
        (&mut sum.held, held),
        (&mut sum.early_certain, early_certain),
        (&mut sum.early_full, early_full),
        (&mut sum.early_shutdown, early_shutdown),
        (&mut sum.early_trace_limit, early_trace_limit),
        (&mut sum.early_provisional, early_provisional),
        (&mut sum.prolonged, prolonged),
        (&mut sum.shed_kept, shed_kept),
        (&mut sum.shed_dropped, shed_dropped),
        (&mut sum.of_sessions, of_sessions),
        (&mut sum.against_sessions, against_sessions),
        (&mut sum.late_kept, late_kept),
        (&mut sum.late_dropped, late_dropped),
    ] {
        *sum += more;
    }
    add_counts(&mut sum.kept, kept);
    add_counts(&mut sum.dropped, dropped);
    add_volumes(&mut sum.predicted_kept, predicted_kept);
    add_volumes(&mut sum.predicted_dropped, predicted_dropped);
    sum.compared.iter_mut().zip(compared).for_each(|(sum, more)| *sum += more);
    add_unanswered(&mut sum.unanswered, unanswered);
}

/// The same for logs.
pub fn add_log_tally(sum: &mut LogTally, shard: &LogTally) {
    let LogTally {
        received,
        untraced,
        kept,
        dropped,
        dry_run,
        undecided_kept,
        undecided_dropped,
        held,
    } = shard;
    sum.received += received;
    sum.untraced += untraced;
    sum.dry_run += dry_run;
    sum.held += held;
    add_counts(&mut sum.kept, kept);
    add_counts(&mut sum.dropped, dropped);
    sum.undecided_kept.iter_mut().zip(undecided_kept).for_each(|(sum, more)| *sum += more);
    sum.undecided_dropped.iter_mut().zip(undecided_dropped).for_each(|(sum, more)| *sum += more);
}

fn add_unanswered(sum: &mut Vec<Unanswered>, more: &[Unanswered]) {
    if sum.len() < more.len() {
        sum.resize(more.len(), Unanswered::default());
    }
    for (sum, more) in sum.iter_mut().zip(more) {
        sum.traces.iter_mut().zip(more.traces).for_each(|(sum, more)| *sum += more);
        sum.kept_spans += more.kept_spans;
        sum.dropped_spans += more.dropped_spans;
        if !more.reason.is_empty() {
            sum.reason.clone_from(&more.reason);
        }
    }
}

fn add_counts(sum: &mut Vec<u64>, more: &[u64]) {
    if sum.len() < more.len() {
        sum.resize(more.len(), 0);
    }
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

fn add_volumes(sum: &mut Vec<Volume>, more: &[Volume]) {
    if sum.len() < more.len() {
        sum.resize(more.len(), Volume::default());
    }
    for (sum, more) in sum.iter_mut().zip(more) {
        sum.spans += more.spans;
        sum.bytes += more.bytes;
    }
}
