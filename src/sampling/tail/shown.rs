//! What spans show while they are taken in.

use crate::codec::records::{AttributeVisitor, SpanView, Telemetry};
use crate::sampling::policy::{PassedTests, Policies, SpanTests, SpanUsage};
use crate::sampling::session::{SessionKeys, SessionName};

/// What the attributes of a span show.
#[derive(Default)]
pub(super) struct Shown<'a> {
    pub(super) facts: PassedTests,
    pub(super) usage: SpanUsage,
    pub(super) session: Option<SessionName<'a>>,
}

/// Collects it.
pub(super) struct FactVisitor<'t, 'a> {
    tests: &'t SpanTests,
    reads_usage: bool,
    sessions: Option<&'t SessionKeys>,
    pub(super) shown: Shown<'a>,
}

impl<'t> FactVisitor<'t, '_> {
    pub(super) fn new(policies: &'t Policies, sessions: Option<&'t SessionKeys>) -> Self {
        let (tests, reads_usage) = (policies.tests(), policies.read_usage());
        Self { tests, reads_usage, sessions, shown: Shown::default() }
    }
}

impl<'a> AttributeVisitor<'a> for FactVisitor<'_, 'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.tests.attribute(&mut self.shown.facts, key, value);
        if self.reads_usage {
            self.shown.usage.attribute(key, value);
        }
        if let Some(sessions) = self.sessions {
            sessions.attribute(&mut self.shown.session, key, value);
        }
    }
}

impl Shown<'_> {
    /// Adds what the rest of the span and its resource show.
    pub(super) fn complete(
        &mut self,
        tests: &SpanTests,
        resource: PassedTests,
        span: &SpanView<'_>,
    ) {
        let facts = &mut self.facts;
        facts.0 |= resource.0;
        tests.status(facts, span.status_code());
        tests.trace_state(facts, span.trace_state());
        tests.events(facts, span.events);
        tests.flags(facts, span);
        tests.joint(facts);
    }
}

/// The tests that the resource of spans passes.
pub(super) fn resource_tests(tests: &SpanTests, telemetry: &Telemetry<'_>) -> PassedTests {
    let mut passed = PassedTests::default();
    telemetry.resource.into_iter().for_each(|encoded| tests.resource(&mut passed, encoded));
    passed
}
