//! Redaction: masking what must not leave: e-mail addresses, cards, keys and the like.
//!
//! Text is searched as it is, also where it is JSON: masks have no quotation marks and no
//! backslashes and never cut an escape sequence, and a bare number in JSON becomes `0`, so that JSON
//! stays JSON at any depth.

mod card_ssn;
mod email_ip_iban;
mod keys;
mod pattern;
mod phone;
mod phone_label;
mod replacement;
mod secrets;
mod text;
mod words;

use std::borrow::Cow;

pub(super) use keys::KeyRole;
pub use keys::{ContentSwitches, KeyRules};
pub use pattern::Pattern;
use phone_label::is_phone_key;
pub use replacement::{HashKey, Replacement};
use secrets::{SecretName, Secrets, is_secret_value};
use text::{TextRange, at, before};

use crate::model::listed_enum;

listed_enum! {
    /// A built-in detector, in the order in which they are applied.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Detector {
        /// Keys, tokens, private keys.
        Secrets,
        /// E-mail addresses.
        Email,
        /// Payment card numbers with the right check digit.
        CreditCard,
        /// International bank account numbers with the right check digits.
        Iban,
        /// US social security numbers.
        Ssn,
        /// Telephone numbers.
        Phone,
        /// IP addresses.
        Ip,
    }
}

impl Detector {
    /// The word for it in options and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Email => "email",
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Ip => "ip",
        }
    }

    /// The detector of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.name().eq_ignore_ascii_case(name))
    }

    /// Its index in [`Detector::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What stands in brackets in the text's place.
    const fn label(self) -> &'static str {
        match self {
            Self::Secrets => "secret",
            other => other.name(),
        }
    }

    /// Whether what it finds is made of digits, which identifiers are full of.
    const fn is_numeric(self) -> bool {
        match self {
            Self::CreditCard | Self::Iban | Self::Ssn | Self::Phone | Self::Ip => true,
            Self::Secrets | Self::Email => false,
        }
    }

    /// Length of the shortest text in which it can find anything.
    const fn shortest(self) -> usize {
        match self {
            Self::Secrets => 15,
            Self::Email => 6,
            Self::CreditCard => 13,
            Self::Iban => 15,
            Self::Ssn => 11,
            Self::Phone => 6,
            Self::Ip => 3,
        }
    }
}

/// What found a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FindingSource {
    /// A built-in detector.
    Detector(Detector),
    /// The pattern with this number.
    Pattern(usize),
    /// The key of the value, by a user's rule.
    Key,
}

/// What stands for values that go by their key, and the word for that in counters.
pub(super) const BY_KEY: &str = "key";
const BY_KEY_LABEL: &str = "redacted";

/// Applies the patterns and the chosen detectors.
#[derive(Debug)]
pub(super) struct Redactor {
    patterns: Vec<Pattern>,
    detectors: Vec<Detector>,
    replacement: Replacement,
    secrets: Option<Secrets>,
    keys: KeyRules,
}

impl Redactor {
    /// A redactor; patterns are applied in their order, then the detectors in that of
    /// [`Detector::ALL`].
    pub(super) fn new(
        chosen: &[Detector],
        patterns: Vec<Pattern>,
        replacement: Replacement,
    ) -> Self {
        let detectors: Vec<Detector> =
            Detector::ALL.into_iter().filter(|detector| chosen.contains(detector)).collect();
        let secrets = detectors.contains(&Detector::Secrets).then(Secrets::new).flatten();
        Self { patterns, detectors, replacement, secrets, keys: KeyRules::default() }
    }

    /// The same with rules for keys.
    pub(super) fn with_keys(self, keys: KeyRules) -> Self {
        Self { keys, ..self }
    }

    /// The role of the value under a key.
    pub(super) fn role(&self, key: &[u8]) -> KeyRole {
        match self.keys.role(key) {
            KeyRole::Free if self.detectors.contains(&Detector::Phone) && is_phone_key(key) => {
                KeyRole::Phone
            }
            role => role,
        }
    }

    /// The rules for keys.
    pub(super) const fn keys(&self) -> &KeyRules {
        &self.keys
    }

    /// What a value that goes whole for its key is counted as, if it does.
    fn goes_whole(&self, text: &[u8], role: KeyRole) -> Option<(FindingSource, &'static str)> {
        match role {
            KeyRole::Denied => {
                // What went already stays as it is.
                let gone = text
                    .strip_prefix(b"[")
                    .is_some_and(|it| it.starts_with(BY_KEY_LABEL.as_bytes()));
                (!text.is_empty() && !gone).then_some((FindingSource::Key, BY_KEY_LABEL))
            }
            KeyRole::Secret(name) if self.secrets.is_some() => {
                let found = (FindingSource::Detector(Detector::Secrets), Detector::Secrets.label());
                is_secret_value(name, text).then_some(found)
            }
            _ => None,
        }
    }

    /// Whether a whole number under such a key is to go, and what it is counted as.
    pub(super) fn number(&self, number: u64, role: KeyRole) -> Option<FindingSource> {
        let text = number.to_string();
        let digits = text.as_bytes();
        match role {
            KeyRole::Denied => (number != 0).then_some(FindingSource::Key),
            KeyRole::Secret(SecretName::Always) if self.secrets.is_some() => {
                (number > 9).then_some(FindingSource::Detector(Detector::Secrets))
            }
            KeyRole::Phone if self.detectors.contains(&Detector::Phone) => {
                phone::phone(digits, 0, true)?;
                Some(FindingSource::Detector(Detector::Phone))
            }
            KeyRole::Free
                if digits.len() >= 13 && self.detectors.contains(&Detector::CreditCard) =>
            {
                let card = card_ssn::card(digits, 0)?;
                let whole = card.start == 0 && card.end == digits.len();
                whole.then_some(FindingSource::Detector(Detector::CreditCard))
            }
            _ => None,
        }
    }

    /// The text without what is to be found, or `None` if nothing is. `count` is called for each
    /// place found.
    pub(super) fn text(
        &self,
        text: &[u8],
        role: KeyRole,
        count: &mut impl FnMut(FindingSource),
    ) -> Option<Vec<u8>> {
        if role == KeyRole::Allowed {
            return None;
        }
        if let Some((source, label)) = self.goes_whole(text, role) {
            count(source);
            let mut masked = Vec::new();
            self.replacement.write(label, text, &mut masked);
            return Some(masked);
        }
        if role == KeyRole::Denied {
            return None;
        }
        let mut current = Cow::Borrowed(text);
        for (index, pattern) in self.patterns.iter().enumerate() {
            let find = |text: &[u8], from: usize| pattern.find(text, from);
            let write = |text: &[u8], out: &mut Vec<u8>| match pattern.with() {
                Some(with) => out.extend_from_slice(with.as_bytes()),
                None => self.replacement.write(pattern.name(), text, out),
            };
            if let Some(masked) =
                apply(&current, find, write, || count(FindingSource::Pattern(index)))
            {
                current = Cow::Owned(masked);
            }
        }
        for detector in &self.detectors {
            let applies = match role {
                KeyRole::Free
                | KeyRole::Phone
                | KeyRole::Secret(_)
                | KeyRole::Denied
                | KeyRole::Allowed => true,
                KeyRole::Identifier => !detector.is_numeric(),
                KeyRole::Address => *detector != Detector::Ip,
            };
            if !applies || current.len() < detector.shortest() {
                continue;
            }
            let find = |text: &[u8], from: usize| self.find(*detector, role, text, from);
            let write = |text: &[u8], out: &mut Vec<u8>| {
                self.replacement.write(detector.label(), text, out);
            };
            if let Some(masked) =
                apply(&current, find, write, || count(FindingSource::Detector(*detector)))
            {
                current = Cow::Owned(masked);
            }
        }
        match current {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        }
    }

    /// The name of what found something.
    pub(super) fn name(&self, finder: FindingSource) -> &str {
        match finder {
            FindingSource::Detector(detector) => detector.name(),
            FindingSource::Pattern(index) => self.patterns.get(index).map_or("", Pattern::name),
            FindingSource::Key => BY_KEY,
        }
    }

    fn find(
        &self,
        detector: Detector,
        role: KeyRole,
        text: &[u8],
        from: usize,
    ) -> Option<TextRange> {
        match detector {
            Detector::Secrets => self.secrets.as_ref()?.find(text, from),
            Detector::Email => email_ip_iban::email(text, from),
            Detector::CreditCard => card_ssn::card(text, from),
            Detector::Iban => email_ip_iban::iban(text, from),
            Detector::Ssn => card_ssn::ssn(text, from),
            Detector::Phone => phone::phone(text, from, role == KeyRole::Phone),
            Detector::Ip => email_ip_iban::ip(text, from),
        }
    }
}

/// The text with every place that `find` finds as `write` says, or `None` if it finds none.
fn apply(
    text: &[u8],
    find: impl Fn(&[u8], usize) -> Option<TextRange>,
    write: impl Fn(&[u8], &mut Vec<u8>),
    mut count: impl FnMut(),
) -> Option<Vec<u8>> {
    let mut hit = find(text, 0)?;
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    loop {
        count();
        out.extend_from_slice(text.get(copied..hit.start).unwrap_or_default());
        if is_json_number(text, hit) {
            out.push(b'0');
        } else {
            write(text.get(hit.start..hit.end).unwrap_or_default(), &mut out);
        }
        copied = hit.end;
        match find(text, hit.end) {
            Some(next) => hit = next,
            None => break,
        }
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// Whether a hit is a whole bare number where JSON has a value: after a key's colon, or in a list.
fn is_json_number(text: &[u8], hit: TextRange) -> bool {
    let json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let digits = text.get(hit.start..hit.end).unwrap_or_default().iter().all(u8::is_ascii_digit);
    if !digits {
        return false;
    }
    let is_gap = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'-');
    let mut start = hit.start;
    while is_gap(before(text, start, 1)) {
        start -= 1;
    }
    let mut end = hit.end;
    while is_gap(at(text, end)) {
        end += 1;
    }
    match before(text, start, 1) {
        // JSON may stand inside a sentence, where a key tells it.
        b':' => {
            before(text, start, 2) == b'"' || (json && before(text, start, 2).is_ascii_whitespace())
        }
        b'[' | b',' => json && matches!(at(text, end), b',' | b']'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: on texts that keep one detector busy, each reads a text eight times as long in much less than
    /// 64 times the time, which a detector that reads on from each place would take.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    fn every_detector_takes_linear_time() {
        const BUSY: [&str; 24] = [
            "\\u0041",
            "\\n",
            "\\\"",
            "1",
            "1 ",
            "1-",
            "1.",
            "12:",
            "a1",
            "+1 ",
            "(1) ",
            "(415) 555",
            "tel 1 ",
            "call me at ",
            "phone: \\u0031",
            "@",
            "a@",
            "a.b@c.d",
            "DE89 ",
            "4111 ",
            "1::",
            "::1",
            "ab:",
            "\\u0031-",
        ];
        let time = |redactor: &Redactor, text: &str| {
            let start = std::time::Instant::now();
            redactor.text(text.as_bytes(), KeyRole::Free, &mut |_| {});
            start.elapsed()
        };
        for detector in Detector::ALL {
            let redactor = Redactor::new(&[detector], Vec::new(), Replacement::Mask);
            for busy in BUSY {
                let text = |bytes: usize| busy.repeat(bytes / busy.len());
                let short = (0..3).map(|_| time(&redactor, &text(8 << 10))).min().unwrap();
                let long = time(&redactor, &text(64 << 10));
                let bound = (short * 40).max(std::time::Duration::from_millis(50));
                assert!(long < bound, "{} {busy:?}: {short:?}, then {long:?}", detector.name());
            }
        }
    }

    fn redacted(text: &str) -> String {
        let redactor = Redactor::new(&Detector::ALL, Vec::new(), Replacement::Mask);
        let masked = redactor.text(text.as_bytes(), KeyRole::Free, &mut |_| {});
        masked.map_or_else(|| text.to_owned(), |masked| String::from_utf8(masked).unwrap())
    }

    #[test]
    fn masks_name_the_detector() {
        let text = "joe@x.com pays 4111 1111 1111 1111 from 10.1.2.3, key sk-a1B2c3D4e5F6g7H8";
        assert_eq!(redacted(text), "[email] pays [credit_card] from [ip], key [secret]");
        assert_eq!(redacted(&redacted(text)), redacted(text));
        assert_eq!(redacted("nothing to see"), "nothing to see");
    }

    #[test]
    fn json_stays_json_at_any_depth() {
        use serde_json::{Value, json};
        let mut value = json!({
            "to": "joe@x.com", "card": 4111111111111111_u64, "cards": [4111111111111111_u64, 1],
            "é": "é\njoe@x.com\t+49 151 2345678 \u{1}4111111111111111\\",
        });
        for _ in 0..4 {
            let text = value.to_string();
            let masked = redacted(&text);
            assert!(!masked.contains("joe") && !masked.contains("4111"), "{masked}");
            let mut read: Value = serde_json::from_str(&masked).unwrap();
            while let Some(inner) = read.get("inner").and_then(Value::as_str) {
                read = serde_json::from_str(inner).unwrap();
            }
            value = json!({ "inner": text });
        }
    }

    #[test]
    fn identifiers_keep_their_digits() {
        let redactor = Redactor::new(&Detector::ALL, Vec::new(), Replacement::Mask);
        let card = b"4111111111111111";
        assert_eq!(redactor.text(card, KeyRole::of(b"gen_ai.response.id"), &mut |_| {}), None);
        let email = redactor.text(b"joe@x.com", KeyRole::of(b"user.id"), &mut |_| {});
        assert_eq!(email.as_deref(), Some(&b"[email]"[..]));
        assert_eq!(redactor.text(b"10.0.0.1", KeyRole::of(b"server.address"), &mut |_| {}), None);
    }

    #[test]
    fn a_key_names_a_telephone_number() {
        let redactor = Redactor::new(&[Detector::Phone], Vec::new(), Replacement::Mask);
        for (key, gone) in [
            ("user.phone_number", true),
            ("contactMobile", true),
            ("device.iPhone", false),
            ("order_number", false),
        ] {
            let role = redactor.role(key.as_bytes());
            assert_eq!(redactor.text(b"0490 75 40 81", role, &mut |_| {}).is_some(), gone, "{key}");
            assert_eq!(redactor.number(3_660_170_548, role).is_some(), gone, "{key}");
        }
    }

    #[test]
    fn patterns_come_first_and_say_what_replaces() {
        let pattern = |name, expression, with| Pattern::new(name, expression, with).unwrap();
        let patterns = vec![
            pattern("staff", r"\w+@corp\.example", None),
            pattern("ticket", "TCK-[0-9]+", Some("a ticket")),
            pattern("gone", "GONE", Some("")),
        ];
        let redactor = Redactor::new(&[Detector::Email], patterns, Replacement::Mask);
        let mut found = Vec::new();
        let text = b"jo@corp.example wrote joe@x.com of TCK-77 GONE";
        let masked = redactor.text(text, KeyRole::Identifier, &mut |finder| found.push(finder));
        assert_eq!(masked.as_deref(), Some(&b"[staff] wrote [email] of a ticket "[..]));
        let email = FindingSource::Detector(Detector::Email);
        let patterns = [
            FindingSource::Pattern(0),
            FindingSource::Pattern(1),
            FindingSource::Pattern(2),
            email,
        ];
        assert_eq!(found, patterns);
    }

    #[test]
    fn no_detector_takes_a_hash_for_anything() {
        let key = HashKey::new(b"0123456789abcdef").unwrap();
        let redactor = Redactor::new(&Detector::ALL, Vec::new(), Replacement::Hash(key));
        for number in 0..500 {
            let text = format!("joe{number}@x.com and 4111 1111 1111 1111");
            let once = redactor.text(text.as_bytes(), KeyRole::Free, &mut |_| {}).unwrap();
            assert!(once.starts_with(b"[email:") && once.ends_with(b"]"));
            assert_eq!(redactor.text(&once, KeyRole::Free, &mut |_| {}), None);
        }
    }

    #[test]
    fn drop_cuts_out() {
        let redactor = Redactor::new(&[Detector::Email], Vec::new(), Replacement::Drop);
        let mut found = 0;
        let cut = redactor.text(b"a joe@x.com b c@d.org", KeyRole::Free, &mut |_| found += 1);
        assert_eq!(cut.as_deref(), Some(&b"a  b "[..]));
        assert_eq!(found, 2);
    }

    /// Scenario: what detectors find, one after the other. Guarantees: none hides another, whatever divides
    /// them; a group of up to four digits may be taken for the end of what is before it.
    #[test]
    fn what_stands_together_is_found() {
        let found = [
            "joe@x.com",
            "4111 1111 1111 1111",
            "4111111111111111",
            "GB82 WEST 1234 5698 7654 32",
            "DE89370400440532013000",
            "078-05-1120",
            "+49 151 23456789",
            "+14155552671",
            "(415) 555-2671",
            "203.0.113.77",
            "2001:db8::77",
            "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4",
        ];
        let parts = |text: &str| -> Vec<String> {
            let parts = text.split(|char: char| " @:.()=+-".contains(char));
            parts.filter(|part| part.len() > 4).map(str::to_owned).collect()
        };
        for divider in [" ", ", ", "; ", "\n", "\t", " - ", "/", "|", " 7 ", " (7) "] {
            for (one, other) in found.iter().flat_map(|one| found.map(|other| (*one, other))) {
                let text = [one, other, one].join(divider);
                let masked = redacted(&text);
                for part in parts(one).into_iter().chain(parts(other)) {
                    assert!(!masked.contains(&part), "{text:?} became {masked:?}");
                }
            }
        }
    }
}
