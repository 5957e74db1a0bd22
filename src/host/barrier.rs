//! Panic barrier: the one place where a panic of ours stops, so that it never unwinds into the
//! host.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

/// The places where the host calls us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    FilterInit,
    FilterChunk,
    FilterExit,
    InputInit,
    InputWake,
    InputTick,
    InputPause,
    InputResume,
    InputExit,
    OutputInit,
    OutputFlush,
    OutputTimer,
    OutputExit,
}

impl Callback {
    /// Every callback.
    #[cfg(test)]
    pub(super) const ALL: [Self; 13] = [
        Self::FilterInit,
        Self::FilterChunk,
        Self::FilterExit,
        Self::InputInit,
        Self::InputWake,
        Self::InputTick,
        Self::InputPause,
        Self::InputResume,
        Self::InputExit,
        Self::OutputInit,
        Self::OutputFlush,
        Self::OutputTimer,
        Self::OutputExit,
    ];

    /// The name in log lines and in `FLUENT_BIT_AI_PANIC`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FilterInit => "filter.init",
            Self::FilterChunk => "filter.chunk",
            Self::FilterExit => "filter.exit",
            Self::InputInit => "input.init",
            Self::InputWake => "input.wake",
            Self::InputTick => "input.tick",
            Self::InputPause => "input.pause",
            Self::InputResume => "input.resume",
            Self::InputExit => "input.exit",
            Self::OutputInit => "output.init",
            Self::OutputFlush => "output.flush",
            Self::OutputTimer => "output.timer",
            Self::OutputExit => "output.exit",
        }
    }
}

/// A panic that was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panicked {
    /// Where the host had called us.
    pub(super) callback: Callback,
    /// What the panic said.
    pub(super) message: String,
}

/// Runs `body`; a panic stops here.
#[expect(clippy::disallowed_methods, reason = "the one home of catch_unwind")]
pub(super) fn run<R>(callback: Callback, body: impl FnOnce() -> R) -> Result<R, Panicked> {
    // What a panicking body leaves half done is dropped and never used again.
    std::panic::catch_unwind(AssertUnwindSafe(|| {
        provoke(callback);
        body()
    }))
    .map_err(|payload| {
        let message = message(payload.as_ref());
        dispose(payload);
        Panicked { callback, message }
    })
}

/// Runs `body` where the host has called us: whatever panics further in and was not stopped there
/// stops here, and nothing is left to say about it.
#[expect(clippy::disallowed_methods, reason = "the one home of catch_unwind")]
pub(super) fn around<R>(body: impl FnOnce() -> R) -> Option<R> {
    std::panic::catch_unwind(AssertUnwindSafe(body)).map_err(dispose).ok()
}

/// Runs what only cleans up; a panic in it is of no interest any more.
pub(super) fn quietly(body: impl FnOnce()) {
    let _stopped = around(body);
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return (*text).to_owned();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no message".to_owned())
}

/// Drops what a panic carried, which may panic in turn.
#[expect(clippy::disallowed_methods, reason = "the one home of catch_unwind")]
fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(again) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload whose end panics is left alone.
        let _left = ManuallyDrop::new(again);
    }
}

/// A test aid: panics in the callback that the environment variable `FLUENT_BIT_AI_PANIC` names, so
/// that tests can show, in any host, that no panic of ours harms it.
#[expect(clippy::panic, reason = "this is what the test asks for")]
fn provoke(callback: Callback) {
    if asked_for() == Some(callback.name()) {
        panic!("FLUENT_BIT_AI_PANIC asks for a panic in {}", callback.name());
    }
}

/// What the environment asks for; read once, because the environment is the host's.
pub(super) fn asked_for() -> Option<&'static str> {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    ASKED.get_or_init(|| std::env::var("FLUENT_BIT_AI_PANIC").ok()).as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value() {
        let panicked = run(Callback::FilterChunk, || panic!("number {}", 7)).unwrap_err();
        assert_eq!(panicked.message, "number 7");
        let panicked = run(Callback::FilterChunk, || panic!("plain")).unwrap_err();
        assert_eq!(panicked.message, "plain");
        assert_eq!(run(Callback::FilterChunk, || 3), Ok(3));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_stopped_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let panicked = run(Callback::FilterChunk, || std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(panicked.message, "no message");
        quietly(|| std::panic::panic_any(Bomb));
    }

    #[test]
    fn callbacks_have_distinct_names() {
        let names: std::collections::BTreeSet<&str> =
            Callback::ALL.iter().map(|callback| callback.name()).collect();
        assert_eq!(names.len(), Callback::ALL.len());
    }
}
