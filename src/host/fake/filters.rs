//! Filters under every row.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::{Notes, SEEN, SPEC, context, host, instance, memory, note, text};
use crate::host::abi::rows::ROWS;
use crate::host::host_struct::HostStruct;
use crate::host::kind::PluginKind;
use crate::host::setup::Setup;
use crate::host::{filter, lend};
use crate::plugin::{Chunk, Environment, Filter, OpenError, Options, Spec, Verdict};
use crate::stats::Counter;

struct Doubling(Counter);

impl Filter for Doubling {
    const SPEC: Spec = SPEC;

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        assert_eq!(options.given(), [("some.key".to_owned(), "a value".to_owned())]);
        assert_eq!(options.host_value("match").as_deref(), Some("app.*"));
        assert_eq!(environment.instance, "alias");
        let seen = environment.counters.counter(SEEN, &["chunks"]);
        seen.set(7);
        Ok(Self(seen))
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        self.0.add(1);
        match chunk.bytes {
            b"drop" => Verdict::Replace(Vec::new()),
            b"pass" => Verdict::Pass,
            b"panic" => panic!("on demand"),
            bytes => Verdict::Replace([chunk.tag, bytes, bytes].concat()),
        }
    }
}

fn run_filter(bytes: &[u8], out: HostStruct) -> c_int {
    // SAFETY: the arguments are as the host makes them; the tag and the bytes outlive the call.
    unsafe {
        filter::cb_filter::<Doubling>(
            bytes.as_ptr().cast(),
            bytes.len(),
            c"tag".as_ptr().cast(),
            3,
            out.field(0),
            out.field(8),
            ptr::null_mut(),
            ptr::null_mut(),
            context(),
            ptr::null_mut(),
        )
    }
}

/// Guarantees: a filter gets its options and chunks, and answers the host, under every layout.
#[test]
fn a_filter_runs_under_every_row() {
    for row in ROWS {
        note(|notes| *notes = Notes::default());
        let (instance, config) =
            instance(PluginKind::Filter, row, SPEC.name, &[("Some.Key", "a value")]);
        instance.set(row.filter.match_rule, text("app.*"));
        // SAFETY: the instance is laid out as the row says.
        let setup = unsafe {
            Setup::at_host(
                host(row),
                PluginKind::Filter,
                &SPEC,
                instance.pointer(),
                config.pointer(),
            )
        };
        filter::start::<Doubling>(setup.unwrap()).unwrap();
        let series = note(|notes| std::mem::take(&mut notes.series));
        assert_eq!(series[0], "fluentbit_ai_panics_total 1");
        assert_eq!(series[1], "fluentbit_ai_seen 2");
        assert!(series.contains(&"alias=7".to_owned()));

        let out = memory(16);
        assert_eq!(run_filter(b"ab", out), 1);
        // SAFETY: the filter gave this many bytes.
        let bytes = unsafe { lend::bytes(out.get::<*mut c_void>(0), out.get::<usize>(8)) };
        assert_eq!(bytes, b"tagabab");
        // SAFETY: the bytes are the host's to free, and not used again.
        unsafe { lend::free(out.get(0)) };
        assert_eq!(run_filter(b"drop", out), 1);
        assert_eq!((out.get::<*mut c_void>(0).is_null(), out.get::<usize>(8)), (true, 0));
        assert_eq!(run_filter(b"pass", out), 2);
        // What the last chunks changed is shown although no other follows.
        assert_eq!(note(|notes| notes.series.clone()), [""; 0]);
        let on_timer = note(|notes| notes.timer).unwrap();
        // SAFETY: called as the host does.
        unsafe { on_timer(config.pointer(), ptr::null_mut()) };
        assert_eq!(note(|notes| std::mem::take(&mut notes.series)), ["alias=10"]);
        assert_eq!(run_filter(b"panic", out), 2);
        assert_eq!(run_filter(b"ab", out), 2, "after a panic data passes");
        // SAFETY: the context is the one that was leased.
        assert_eq!(unsafe { filter::cb_exit::<Doubling>(context(), config.pointer()) }, 0);
        let series = note(|notes| std::mem::take(&mut notes.series));
        assert!(series.contains(&"alias=1".to_owned()), "the panic is counted: {series:?}");
        assert!(note(|notes| notes.timer.is_none()), "no filter is left to show");
        // SAFETY: called as the host does.
        unsafe { on_timer(config.pointer(), ptr::null_mut()) };
        assert_eq!(note(|notes| notes.series.clone()), [""; 0], "the instance is gone");
    }
}
