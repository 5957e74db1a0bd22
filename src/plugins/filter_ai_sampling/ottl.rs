//! Conditions in OTTL, the OpenTelemetry Transformation Language, translated to CEL: what published
//! examples of the Collector's policy `ottl_condition` use.
//!
//! Comparisons of `attributes["k"]`, `resource.attributes["k"]`, `scope.attributes["k"]`, `scope.name`,
//! `scope.version`, `name`, `kind`, `kind.string` and `status.code` with a literal or `nil`, `IsMatch`, `and`,
//! `or`, `not` and parentheses; paths may be named in full, as `span.name` and `spanevent.name`, and the scope
//! `instrumentation_scope`, as it was called before. An attribute that is missing is `nil`, which equals nothing
//! else; a scope's name or version that is missing is an empty text.

/// How deep conditions may be nested.
const MAX_DEPTH: usize = 32;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// A span, `s` in CEL.
    Span,
    /// An event of a span, `e` in CEL.
    SpanEvent,
}

/// A condition over a trace: one is true of a span, or of an event. `None` without any.
pub(super) fn of_trace(mut spans: Vec<String>, events: &[String]) -> Option<String> {
    if !events.is_empty() {
        spans.push(format!("s.events.exists(e, {})", events.join(" || ")));
    }
    (!spans.is_empty()).then(|| format!("spans.exists(s, {})", spans.join(" || ")))
}

/// A condition in CEL.
///
/// # Errors
/// It is no condition, or has a part that is not supported: which one.
pub(super) fn to_cel(text: &str, context: Context) -> Result<String, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, context };
    let condition = parser.any(0)?;
    match parser.next() {
        None => Ok(condition),
        Some(token) => Err(unexpected(&token)),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name with its dots.
    Word(String),
    /// A text without its quotes.
    Text(String),
    Number(String),
    /// An operator, a parenthesis, a bracket or a comma.
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

fn unexpected(token: &Token) -> String {
    let shown = match token {
        Token::Word(text) | Token::Number(text) => text.clone(),
        Token::Text(text) => quoted(text),
        Token::Sign(sign) => (*sign).to_owned(),
    };
    format!(
        "'{shown}' is not supported here; allowed: comparisons of attributes, resource.attributes, \
             scope.attributes, scope.name, scope.version, name, kind and status.code, IsMatch, and, or, not"
    )
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length;
        if first == '"' {
            let (value, after) = text_literal(rest)?;
            tokens.push(Token::Text(value));
            length = rest.len() - after.len();
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            length = sign.len();
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default().to_owned();
            match first {
                _ if word.is_empty() => return Err(format!("'{first}' is not supported")),
                '0'..='9' | '-' | '.' => tokens.push(Token::Number(word)),
                _ => tokens.push(Token::Word(word)),
            }
        }
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// The text literal that comes next, and what follows it.
fn text_literal(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        let escaped = match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => chars.next().map(|(_, c)| c),
            c => {
                value.push(c);
                continue;
            }
        };
        value.push(match escaped {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some(c @ ('"' | '\\')) => c,
            _ => return Err(format!("{text} has an escape that is not supported")),
        });
    }
    Err(format!("{text} has no closing quote"))
}

/// A text as a literal of CEL.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A side of a comparison.
enum Operand {
    Nil,
    Text(String),
    Bool(bool),
    Number(f64),
    /// A name such as `STATUS_CODE_ERROR`.
    Name(String),
    Path(Path),
}

/// A part of a span or an event in CEL.
struct Path {
    access: String,
    /// What is true where the part is there, if it may be missing.
    is_there: Option<String>,
    /// How texts and names that it is compared with are spelled in CEL.
    spelled: fn(&str) -> Option<String>,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    context: Context,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let is_next = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        if self.takes(&Token::Sign(sign)) { Ok(()) } else { Err(format!("'{sign}' is missing")) }
    }

    fn any(&mut self, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
        }
        self.joined(depth, "or", " || ", Self::all)
    }

    fn all(&mut self, depth: usize) -> Result<String, String> {
        self.joined(depth, "and", " && ", Self::one)
    }

    fn joined(
        &mut self,
        depth: usize,
        word: &str,
        sign: &str,
        part: fn(&mut Self, usize) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut parts = vec![part(self, depth)?];
        while self.takes_word(word) {
            parts.push(part(self, depth)?);
        }
        if parts.len() == 1 { Ok(parts.remove(0)) } else { Ok(format!("({})", parts.join(sign))) }
    }

    fn one(&mut self, depth: usize) -> Result<String, String> {
        if self.takes_word("not") {
            let negated = self.one_below(depth)?;
            return Ok(format!("!{negated}"));
        }
        if self.takes(&Token::Sign("(")) {
            let inner = self.any(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.takes_word("IsMatch") {
            return self.is_match();
        }
        if self.context == Context::Span && self.takes_word("IsRootSpan") {
            self.expect("(")?;
            self.expect(")")?;
            return Ok("s.is_root".to_owned());
        }
        self.comparison()
    }

    fn one_below(&mut self, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
        }
        self.one(depth + 1)
    }

    fn is_match(&mut self) -> Result<String, String> {
        self.expect("(")?;
        let Operand::Path(path) = self.operand()? else {
            return Err("IsMatch needs a path such as attributes[\"k\"]".to_owned());
        };
        self.expect(",")?;
        let Operand::Text(pattern) = self.operand()? else {
            return Err("IsMatch needs a text with a regular expression".to_owned());
        };
        self.expect(")")?;
        Ok(path.guarded(&format!("string({}).matches({})", path.access, quoted(&pattern))))
    }

    fn comparison(&mut self) -> Result<String, String> {
        let left = self.operand()?;
        let sign = match self.tokens.get(self.at) {
            Some(Token::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">="))) => *sign,
            _ => match left {
                Operand::Bool(value) => return Ok(value.to_string()),
                Operand::Path(path) => return Ok(path.guarded(&format!("{} == true", path.access))),
                _ => return Err("a comparison has no operator".to_owned()),
            },
        };
        self.at += 1;
        match (left, self.operand()?) {
            (Operand::Path(_), Operand::Path(_)) => {
                Err("comparing two paths is not supported; allowed: a path and a literal"
                    .to_owned())
            }
            (Operand::Path(path), value) => path.compared(sign, &value),
            (value, Operand::Path(path)) => path.compared(turned(sign), &value),
            _ => Err("a comparison has no path such as attributes[\"k\"]".to_owned()),
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let token = self.next().ok_or("it ends too early")?;
        Ok(match token {
            Token::Text(text) => Operand::Text(text),
            Token::Number(number) => {
                let parsed = number.parse().map_err(|_| format!("'{number}' is no number"))?;
                Operand::Number(parsed)
            }
            Token::Word(word) => match word.as_str() {
                "nil" => Operand::Nil,
                "true" | "false" => Operand::Bool(word == "true"),
                _ if word.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                    Operand::Name(word)
                }
                _ => self.path(&word)?,
            },
            token @ Token::Sign(_) => return Err(unexpected(&token)),
        })
    }

    fn path(&mut self, word: &str) -> Result<Operand, String> {
        let (item, field) = match self.context {
            Context::Span => ("s", word.strip_prefix("span.").unwrap_or(word)),
            Context::SpanEvent => match word.strip_prefix("span.") {
                Some(field) => ("s", field),
                None => ("e", word.strip_prefix("spanevent.").unwrap_or(word)),
            },
        };
        let simple =
            |access: String, spelled| Ok(Operand::Path(Path { access, is_there: None, spelled }));
        let of_scope = field.strip_prefix("instrumentation_").unwrap_or(field);
        match (item, of_scope) {
            (_, "scope.attributes") => return self.key("s.scope.attributes"),
            (_, "scope.name" | "scope.version") => {
                let access = format!("(has(s.{of_scope}) ? s.{of_scope} : \"\")");
                return simple(access, |text| Some(text.to_owned()));
            }
            _ => {}
        }
        match (item, field) {
            (_, "attributes") => self.key(&format!("{item}.attributes")),
            (_, "resource.attributes") => self.key("s.resource"),
            (_, "name") => simple(format!("{item}.name"), |text| Some(text.to_owned())),
            ("s", "kind" | "kind.string") => simple("s.kind".to_owned(), |text| {
                Some(text.strip_prefix("SPAN_KIND_").unwrap_or(text).to_ascii_lowercase())
            }),
            ("s", "status.code") => simple("s.status".to_owned(), |text| match text {
                "STATUS_CODE_ERROR" | "2" => Some("error".to_owned()),
                "STATUS_CODE_OK" | "1" => Some("ok".to_owned()),
                "STATUS_CODE_UNSET" | "0" => Some("unset".to_owned()),
                _ => None,
            }),
            _ => Err(unexpected(&Token::Word(word.to_owned()))),
        }
    }

    /// The entry of a map that the brackets name.
    fn key(&mut self, map: &str) -> Result<Operand, String> {
        self.expect("[")?;
        let Some(Token::Text(key)) = self.next() else {
            return Err("attributes need a text in brackets, as in attributes[\"k\"]".to_owned());
        };
        self.expect("]")?;
        let key = quoted(&key);
        // A scope is a map that need not have attributes; spans and resources always have some, if none.
        let has =
            if map == "s.scope.attributes" { format!("has({map}) && ") } else { String::new() };
        Ok(Operand::Path(Path {
            access: format!("{map}[{key}]"),
            is_there: Some(format!("{has}{key} in {map}")),
            spelled: |_| None,
        }))
    }
}

impl Path {
    /// The condition, false where the part is missing.
    fn guarded(&self, condition: &str) -> String {
        match &self.is_there {
            Some(is_there) => format!("({is_there} && {condition})"),
            None => format!("({condition})"),
        }
    }

    fn compared(&self, sign: &str, value: &Operand) -> Result<String, String> {
        let access = &self.access;
        let is_order = !matches!(sign, "==" | "!=");
        let condition = match value {
            Operand::Nil if !is_order => self.is_there.clone().map(|there| format!("!({there})")),
            Operand::Number(number) if self.is_there.is_some() => Some(if is_order {
                self.guarded(&format!("double({access}) {sign} {number:?}"))
            } else if number.fract() == 0.0 {
                self.guarded(&format!("({access} == {number} || {access} == {number:?})"))
            } else {
                self.guarded(&format!("{access} == {number:?}"))
            }),
            Operand::Bool(value) if self.is_there.is_some() && !is_order => {
                Some(self.guarded(&format!("{access} == {value}")))
            }
            Operand::Text(text) if self.is_there.is_some() => {
                let sign = if is_order { sign } else { "==" };
                Some(self.guarded(&format!("{access} {sign} {}", quoted(text))))
            }
            Operand::Text(text) | Operand::Name(text) if !is_order => (self.spelled)(text)
                .map(|text| self.guarded(&format!("{access} == {}", quoted(&text)))),
            Operand::Number(number) if !is_order => (self.spelled)(&number.to_string())
                .map(|text| self.guarded(&format!("{access} == {}", quoted(&text)))),
            _ => None,
        };
        let condition = condition.ok_or("a comparison of these two is not supported")?;
        Ok(if sign == "!=" { format!("!{condition}") } else { condition })
    }
}

/// The operator with its sides exchanged.
fn turned(sign: &'static str) -> &'static str {
    match sign {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: [(Context, &str, &str); 15] = [
        (
            Context::Span,
            r#"IsRootSpan() and resource.attributes["service.name"] == "checkout""#,
            r#"(s.is_root && ("service.name" in s.resource && s.resource["service.name"] == "checkout"))"#,
        ),
        (
            Context::Span,
            r#"attributes["test_attr_key_1"] == "test_attr_val_1""#,
            r#"("test_attr_key_1" in s.attributes && s.attributes["test_attr_key_1"] == "test_attr_val_1")"#,
        ),
        (
            Context::Span,
            r#"attributes["k"] != "v""#,
            r#"!("k" in s.attributes && s.attributes["k"] == "v")"#,
        ),
        (Context::SpanEvent, r#"name != "e1""#, r#"!(e.name == "e1")"#),
        (
            Context::SpanEvent,
            r#"attributes["k"] == nil and span.name == "x""#,
            r#"(!("k" in e.attributes) && (s.name == "x"))"#,
        ),
        (
            Context::Span,
            r#"resource.attributes["service.name"] == "shop" or status.code == STATUS_CODE_ERROR"#,
            r#"(("service.name" in s.resource && s.resource["service.name"] == "shop") || (s.status == "error"))"#,
        ),
        (
            Context::Span,
            r#"not (span.kind == SPAN_KIND_SERVER) and kind.string != "Client""#,
            r#"(!(s.kind == "server") && !(s.kind == "client"))"#,
        ),
        (
            Context::Span,
            r#"IsMatch(attributes["url.path"], "^/v1/\\w+$")"#,
            r#"("url.path" in s.attributes && string(s.attributes["url.path"]).matches("^/v1/\\w+$"))"#,
        ),
        (
            Context::Span,
            r#"400 <= attributes["code"]"#,
            r#"("code" in s.attributes && double(s.attributes["code"]) >= 400.0)"#,
        ),
        (
            Context::Span,
            r#"attributes["code"] == 5"#,
            r#"("code" in s.attributes && (s.attributes["code"] == 5 || s.attributes["code"] == 5.0))"#,
        ),
        (Context::Span, "true", "true"),
        (
            Context::Span,
            r#"scope.attributes["k"] == "v" and scope.name != "a""#,
            r#"((has(s.scope.attributes) && "k" in s.scope.attributes && s.scope.attributes["k"] == "v") && !((has(s.scope.name) ? s.scope.name : "") == "a"))"#,
        ),
        (
            Context::Span,
            r#"instrumentation_scope.attributes["k"] == nil"#,
            r#"!(has(s.scope.attributes) && "k" in s.scope.attributes)"#,
        ),
        (
            Context::Span,
            r#"IsMatch(instrumentation_scope.version, "^1")"#,
            r#"(string((has(s.scope.version) ? s.scope.version : "")).matches("^1"))"#,
        ),
        (
            Context::SpanEvent,
            r#"scope.name == "a" and name == "b""#,
            r#"(((has(s.scope.name) ? s.scope.name : "") == "a") && (e.name == "b"))"#,
        ),
    ];

    #[test]
    fn published_conditions_become_expressions() {
        for (context, ottl, cel) in PUBLISHED {
            assert_eq!(to_cel(ottl, context).as_deref(), Ok(cel), "{ottl}");
            let condition = of_trace(vec![cel.to_owned()], &[]).unwrap();
            if context == Context::Span {
                assert!(crate::condition::Condition::compile(&condition).is_ok(), "{condition}");
            }
        }
        let both = of_trace(vec!["a".to_owned()], &["b".to_owned(), "c".to_owned()]);
        assert_eq!(both.as_deref(), Some("spans.exists(s, a || s.events.exists(e, b || c))"));
        assert_eq!(of_trace(Vec::new(), &[]), None);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let deep = "(".repeat(100);
        for (ottl, part) in [
            ("", "ends too early"),
            ("IsRootSpan", "'(' is missing"),
            ("IsBool(name)", "'IsBool'"),
            (r#"cache["x"] == 1"#, "'cache'"),
            (r#"attributes["a"] == attributes["b"]"#, "two paths"),
            (r#"attributes["a"] + 1 == 2"#, "'+' is not supported"),
            (r#"attributes["a] == 1"#, "closing quote"),
            (r#"attributes["a"] == "\q""#, "escape"),
            (r#"name < "b""#, "comparison of these"),
            (r#"scope.name < "b""#, "comparison of these"),
            (r#"scope.schema_url == "b""#, "'scope.schema_url'"),
            ("1 == 1", "no path"),
            (r#"name == "a" name"#, "'name'"),
            ("status.code == 7", "comparison of these"),
            (&deep, "nested deeper"),
            (&"not ".repeat(100), "nested deeper"),
        ] {
            let problem = to_cel(ottl, Context::Span).unwrap_err();
            assert!(problem.contains(part), "{ottl}: {problem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z\"\\\\\\[\\]()=!<>. 0-9,-]{0,60}") {
            drop(to_cel(&text, Context::SpanEvent));
        }
    }
}
