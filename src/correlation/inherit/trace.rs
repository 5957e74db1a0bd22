//! What is known of a trace: which spans are below which, and what they say.

use super::fields::GroupNumber;
use crate::codec::records::edit::Pairs;
use crate::correlation::window_map::Weighed;
use crate::model::SpanId;

/// Spans, and statements of them, that are remembered of one trace.
const MAX_SPANS: usize = 1024;
/// Different statements that are remembered of one trace.
const MAX_VALUES: usize = 64;
/// How far up the spans of a trace are followed.
const MAX_DEPTH: usize = 64;

/// A span that says something of a group.
#[derive(Debug)]
struct SpanStatement {
    span: Option<SpanId>,
    group: GroupNumber,
    /// Which of the values.
    value: usize,
}

/// What is known of a trace.
#[derive(Debug, Default)]
pub(super) struct TraceFacts {
    /// Spans with a parent, and their parent.
    parents: Vec<(SpanId, SpanId)>,
    statements: Vec<SpanStatement>,
    values: Vec<(GroupNumber, Pairs)>,
    /// Groups of which not everything that was said is remembered.
    incomplete: u16,
}

/// What an item that says nothing of a group inherits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inheritance<'t> {
    /// These pairs.
    Pairs(&'t Pairs),
    /// Nothing: its trace says several things, and no span above it says which.
    Conflict,
    /// Nothing: no span says anything.
    Unknown,
}

impl Weighed for TraceFacts {
    fn heap_bytes(&self) -> usize {
        let of_values = |(_, pairs): &(GroupNumber, Pairs)| pairs.encoded().len();
        self.parents.capacity() * size_of::<(SpanId, SpanId)>()
            + self.statements.capacity() * size_of::<SpanStatement>()
            + self.values.capacity() * size_of::<(GroupNumber, Pairs)>()
            + self.values.iter().map(of_values).sum::<usize>()
    }
}

impl TraceFacts {
    /// Notes a span and its parent. Returns whether there is room for it.
    pub(super) fn note_span(&mut self, span: SpanId, parent: SpanId) -> bool {
        let has_room = self.parents.len() < MAX_SPANS;
        if has_room {
            self.parents.push((span, parent));
        }
        has_room
    }

    /// Notes what a span says. Returns whether there is room for it.
    pub(super) fn note(&mut self, span: Option<SpanId>, group: GroupNumber, pairs: Pairs) -> bool {
        let known = self.values.iter().position(|(of, known)| *of == group && *known == pairs);
        let has_room = self.statements.len() < MAX_SPANS
            && (known.is_some() || self.values.len() < MAX_VALUES);
        if !has_room {
            self.note_incomplete(group);
            return false;
        }
        let value = known.unwrap_or_else(|| {
            self.values.push((group, pairs));
            self.values.len() - 1
        });
        if !self.statements.iter().any(|it| it.span == span && it.group == group) {
            self.statements.push(SpanStatement { span, group, value });
        }
        true
    }

    /// Notes that a span says something of a group that is not remembered.
    pub(super) const fn note_incomplete(&mut self, group: GroupNumber) {
        self.incomplete |= group.bit();
    }

    /// What an item inherits whose next span above is `parent`. `is_of_trace` says that what one
    /// span says holds for the whole trace, unless another says something else.
    pub(super) fn inherited(
        &self,
        group: GroupNumber,
        parent: Option<SpanId>,
        is_of_trace: bool,
    ) -> Inheritance<'_> {
        let mut of_group = self.values.iter().filter(|(of, _)| *of == group);
        let Some((_, first)) = of_group.next() else {
            return if self.is_incomplete(group) {
                Inheritance::Conflict
            } else {
                Inheritance::Unknown
            };
        };
        let is_one = of_group.next().is_none() && !self.is_incomplete(group);
        if is_one && is_of_trace {
            return Inheritance::Pairs(first);
        }
        match self.nearest_above(group, parent) {
            Some(pairs) => Inheritance::Pairs(pairs),
            None if is_of_trace => Inheritance::Conflict,
            None => Inheritance::Unknown,
        }
    }

    const fn is_incomplete(&self, group: GroupNumber) -> bool {
        self.incomplete & group.bit() != 0
    }

    /// What the nearest span says that says anything, from `parent` upwards.
    fn nearest_above(&self, group: GroupNumber, parent: Option<SpanId>) -> Option<&Pairs> {
        let mut above = parent;
        for _ in 0..MAX_DEPTH {
            let span = above?;
            let says = |it: &&SpanStatement| it.span == Some(span) && it.group == group;
            if let Some(statement) = self.statements.iter().find(says) {
                return self.values.get(statement.value).map(|(_, pairs)| pairs);
            }
            above = self.parents.iter().find(|(known, _)| *known == span).map(|(_, up)| *up);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::{InheritedFields, InheritedKind};
    use super::*;

    fn group() -> GroupNumber {
        let fields = InheritedFields::new(&[InheritedKind::Session], &[]);
        fields.groups().next().unwrap()
    }

    fn pairs(value: &str) -> Pairs {
        let mut pairs = Pairs::new();
        pairs.text("session.id", value);
        pairs
    }

    fn id(number: u8) -> SpanId {
        SpanId([number; 8])
    }

    /// 1 above 2 above 3, and 1 above 4; 2 and 4 say different things.
    fn family() -> TraceFacts {
        let mut trace = TraceFacts::default();
        for (span, parent) in [(2, 1), (3, 2), (4, 1)] {
            assert!(trace.note_span(id(span), id(parent)));
        }
        assert!(trace.note(Some(id(2)), group(), pairs("a")));
        assert!(trace.note(Some(id(4)), group(), pairs("b")));
        trace
    }

    #[test]
    fn the_nearest_above_goes_before_all() {
        let trace = family();
        let of = |parent: u8| trace.inherited(group(), Some(id(parent)), true);
        assert_eq!(of(2), Inheritance::Pairs(&pairs("a")));
        assert_eq!(of(3), Inheritance::Pairs(&pairs("a")));
        assert_eq!(of(4), Inheritance::Pairs(&pairs("b")));
        assert_eq!(of(1), Inheritance::Conflict, "a brother of both");
        assert_eq!(trace.inherited(group(), None, true), Inheritance::Conflict);
        assert_eq!(trace.inherited(group(), Some(id(1)), false), Inheritance::Unknown);
        assert_eq!(trace.inherited(group(), Some(id(3)), false), Inheritance::Pairs(&pairs("a")));
    }

    #[test]
    fn what_is_said_once_holds_for_the_trace() {
        let mut trace = TraceFacts::default();
        assert_eq!(trace.inherited(group(), None, true), Inheritance::Unknown);
        for span in [5, 6] {
            trace.note(Some(id(span)), group(), pairs("a"));
        }
        assert_eq!(trace.inherited(group(), None, true), Inheritance::Pairs(&pairs("a")));
        assert_eq!(trace.inherited(group(), Some(id(9)), false), Inheritance::Unknown);
        trace.note_incomplete(group());
        assert_eq!(trace.inherited(group(), None, true), Inheritance::Conflict);
    }

    #[test]
    fn a_circle_of_spans_has_an_end() {
        let mut trace = family();
        trace.note_span(id(7), id(8));
        trace.note_span(id(8), id(7));
        assert_eq!(trace.inherited(group(), Some(id(7)), true), Inheritance::Conflict);
    }

    #[test]
    fn what_is_too_much_is_not_guessed() {
        let mut trace = TraceFacts::default();
        for number in 0..=64_u8 {
            let is_kept = trace.note(Some(id(number)), group(), pairs(&number.to_string()));
            assert_eq!(is_kept, number < 64);
        }
        assert_eq!(trace.inherited(group(), Some(id(64)), true), Inheritance::Conflict);
        assert_eq!(trace.inherited(group(), Some(id(3)), true), Inheritance::Pairs(&pairs("3")));
        let spans = (0..2000).filter(|_| trace.note_span(id(1), id(2))).count();
        assert_eq!(spans, MAX_SPANS);
    }
}
