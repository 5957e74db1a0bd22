//! Symbols whose presence tells the release, for hosts that do not say it.

use std::ffi::CStr;

use super::row::{HostAbi, Release};

/// Exported since this release and in every later one, oldest first.
pub(super) const MARKERS: &[(Release, &CStr)] = &[
    (Release::new(3, 0, 2), c"flb_task_map_get_task_id"),
    (Release::new(3, 0, 3), c"cfl_variant_size_get"),
    (Release::new(3, 1, 0), c"flb_log_event_decoder_read_groups"),
    (Release::new(3, 1, 5), c"cfl_utils_split_quoted"),
    (Release::new(3, 2, 0), c"flb_notification_enqueue"),
    (Release::new(3, 2, 2), c"flb_http_set_response_test"),
    (Release::new(3, 2, 3), c"flb_input_set_test"),
    (Release::new(3, 2, 5), c"flb_hash_table_set_case_sensitivity"),
    (Release::new(3, 2, 7), c"flb_zstd_compress"),
    (Release::new(3, 2, 10), c"flb_utils_url_split_sds"),
    (Release::new(4, 0, 0), c"flb_config_task_map_grow"),
    (Release::new(4, 0, 3), c"flb_engine_stop_ingestion"),
    (Release::new(4, 0, 4), c"flb_processor_unit_set_property_str"),
    (Release::new(4, 0, 8), c"flb_metrics_is_empty"),
    (Release::new(4, 0, 9), c"flb_downstream_pause"),
    (Release::new(4, 0, 11), c"flb_tls_session_invalidate"),
    (Release::new(4, 1, 0), c"flb_kv_item_set"),
    (Release::new(4, 2, 0), c"flb_router_create"),
    (Release::new(4, 2, 2), c"flb_aws_aggregation_add"),
    (Release::new(4, 2, 4), c"flb_ml_stream_group_add_metadata"),
    (Release::new(5, 0, 0), c"flb_input_ingress_enable"),
    (Release::new(5, 0, 1), c"flb_json_arr_get"),
    (Release::new(5, 0, 3), c"flb_config_map_find"),
    (Release::new(5, 0, 5), c"flb_input_log_append_processed"),
    (Release::new(5, 0, 6), c"cfl_kvpair_take_value"),
    (Release::new(5, 0, 8), c"flb_input_chunk_release_route"),
    (Release::new(5, 1, 0), c"flb_input_plugin_pause"),
];

/// How near a release is to what a host exports: 0 if the newest functions came with its minor
/// release, 1 if it is newer than all of them, `None` if it is neither. A build without some part of the
/// host lacks what belongs to it, and distributors take fixes from later releases.
pub(super) fn distance(release: Release, exported: impl Fn(&CStr) -> bool) -> Option<u8> {
    let due = MARKERS.iter().filter(|(since, _)| *since <= release);
    let there = due.clone().filter(|(_, symbol)| exported(symbol)).count();
    let is_majority = there.saturating_mul(4) >= due.count().saturating_mul(3);
    let newest = MARKERS.iter().rfind(|(_, symbol)| exported(symbol)).map(|(since, _)| *since)?;
    let is_same = (newest.major, newest.minor) == (release.major, release.minor);
    match (is_majority, is_same, newest < release) {
        (true, true, _) => Some(0),
        (true, false, true) => Some(1),
        _ => None,
    }
}

/// The rows that fit what `exported` says: those between the newest marker that is there and the
/// first that is not. A process without any may be no Fluent Bit at all, and a host that has every
/// marker may be newer than all rows, so then none fits.
pub(super) fn candidates(rows: &[HostAbi], exported: impl Fn(&CStr) -> bool) -> Vec<&HostAbi> {
    let Some(present) = MARKERS.iter().rposition(|(_, symbol)| exported(symbol)) else {
        return Vec::new();
    };
    let least = MARKERS.get(present).map(|(release, _)| *release);
    let before = MARKERS.get(present.saturating_add(1)).map(|(release, _)| *release);
    let (Some(least), Some(before)) = (least, before) else { return Vec::new() };
    rows.iter().filter(|row| row.first < before && row.last >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    fn since_of(newest: Release) -> Vec<&'static str> {
        let exported = |symbol: &CStr| {
            MARKERS.iter().any(|(release, name)| *name == symbol && *release <= newest)
        };
        candidates(ROWS, exported).into_iter().map(|row| row.since).collect()
    }

    #[test]
    fn markers_narrow_the_rows_down() {
        assert_eq!(since_of(Release::new(3, 0, 7)), ["3.0.0"]);
        assert_eq!(since_of(Release::new(4, 2, 0)), ["4.2.0"]);
        assert_eq!(since_of(Release::new(5, 0, 3)), ["5.0.3"]);
        assert_eq!(since_of(Release::new(4, 0, 4)), ["4.0.4", "4.0.6"]);
    }

    #[test]
    fn markers_distinguish_the_release_from_other_numbers() {
        let exported = |newest: Release| {
            move |symbol: &CStr| {
                MARKERS.iter().any(|(since, name)| *name == symbol && *since <= newest)
            }
        };
        let at = |release: Release, newest| distance(release, exported(newest));
        let newest = Release::new(5, 1, 1);
        assert_eq!(at(newest, newest), Some(0));
        assert_eq!(at(Release::new(5, 1, 9), newest), Some(0));
        for release in [Release::new(5, 2, 0), Release::new(8, 0, 0)] {
            assert_eq!(at(release, newest), Some(1), "{release}");
        }
        for release in [Release::new(3, 0, 7), Release::new(4, 2, 8), Release::new(5, 0, 9)] {
            assert_eq!(at(release, newest), None, "{release}");
        }
        assert_eq!(at(Release::new(3, 0, 7), Release::new(3, 0, 7)), Some(0));
        assert_eq!(at(newest, Release::new(3, 0, 7)), None);
        assert_eq!(distance(newest, |_| false), None);
    }

    #[test]
    fn a_process_without_markers_is_no_host() {
        assert!(candidates(ROWS, |_| false).is_empty());
    }

    #[test]
    fn a_host_with_every_marker_may_be_too_new() {
        assert!(since_of(Release::new(9, 0, 0)).is_empty());
    }
}
