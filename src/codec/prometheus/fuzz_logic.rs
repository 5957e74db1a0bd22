//! Fuzz logic: reads any bytes as pages, for fuzz targets and tests.

use super::{LastPage, Page, PageTarget, StartTimes, page_to_otlp, unread_to_otlp};
use crate::codec::records::metrics_to_records;

/// Reads arbitrary bytes as a page of either format, twice, so that the second one meets what the first left, and then marks
/// all of it as gone: nothing may panic, hang or take memory out of proportion, and what is written is a valid request.
///
/// # Panics
/// What was written is no request, or has points that are not valid.
pub fn pages(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for is_open_metrics in [false, true] {
        let (mut starts, mut last) = (StartTimes::default(), LastPage::default());
        for unix_nanos in [1, 2] {
            let page = Page {
                text: &text,
                is_open_metrics,
                unix_nanos,
                seconds: 0.0,
                max_samples: 10_000,
            };
            let (mut request, mut events) = (Vec::new(), Vec::new());
            let read = page_to_otlp(&page, &PageTarget::default(), &mut starts, &mut request);
            let left_out = metrics_to_records(&request, &mut events, unix_nanos);
            assert!(read.is_err() || left_out.is_ok_and(|done| done.rejected == 0));
            assert!(last.replace(&request, unix_nanos, &mut Vec::new()).is_ok());
        }
        let (mut request, mut stale, mut events) = (Vec::new(), Vec::new(), Vec::new());
        unread_to_otlp(&PageTarget::default(), 3, 0.0, &mut request);
        assert!(last.replace(&request, 3, &mut stale).is_ok());
        let left_out = metrics_to_records(&stale, &mut events, 3);
        assert!(left_out.is_ok_and(|done| done.rejected == 0));
    }
}
