//! Lookup tables as data: what one GenAI dialect calls things. `dialects` has one table a file; the
//! section `dialects` of a configuration file adds tables of the same form.

use super::json_value::{Arena, Json, Members};
use super::normalize::field::GenAiField;

/// What one dialect calls things.
#[derive(Debug)]
pub struct Dialect {
    /// The word for it in counters.
    pub name: &'static str,
    /// What shows that an item speaks it, beside its rules and lists.
    pub detection: DialectSigns,
    /// Attributes that are known by their whole key.
    pub rules: &'static [DialectRule],
    /// Lists that are spread over many keys.
    pub lists: &'static [IndexedList],
    /// What the values of attributes mean that name the span's kind, by key; the key may be that of
    /// another dialect. A span that speaks several dialects means what the first of them says.
    pub kinds: &'static [KindNames],
    /// What it calls operations, where others mean something else by the name.
    pub operations: &'static [(&'static str, &'static str)],
    /// Whether its input tokens are those beside the cache, so that the conventions' number is the
    /// sum of them all.
    pub excludes_cache: bool,
    /// Providers of whose calls it gives input tokens beside the cache, under the current name, too.
    pub excludes_cache_of: &'static [&'static str],
    /// Whether its output tokens are those beside the model's reasoning, which the conventions'
    /// number includes.
    pub excludes_reasoning: bool,
    /// Whether each of its items with tokens is a model call, even where no model is named.
    pub serves_models: bool,
    /// The field that shows that an item is the call of a tool, where nothing names its kind.
    pub tool_sign: Option<GenAiField>,
    /// What it calls content.
    pub content: ContentNames,
}

impl Dialect {
    /// A dialect that says nothing.
    pub const NONE: Self = Self {
        name: "",
        detection: DialectSigns::NONE,
        rules: &[],
        lists: &[],
        kinds: &[],
        operations: &[],
        excludes_cache: false,
        excludes_cache_of: &[],
        excludes_reasoning: false,
        serves_models: false,
        tool_sign: None,
        content: ContentNames::NONE,
    };

    /// Whether spans of it become the current conventions; of others only the content is known.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        !self.rules.is_empty() || !self.lists.is_empty()
    }
}

/// What shows that an item speaks a dialect, and means nothing else.
#[derive(Debug)]
pub struct DialectSigns {
    /// Attributes of spans.
    pub attributes: &'static [&'static str],
    /// The span event at a stream's first token.
    pub first_token_event: Option<&'static str>,
    /// Beginnings of values, by the key of a common rule whose values show it.
    pub values: &'static [(&'static str, &'static str)],
    /// Beginnings of attribute names, event names, span names, scopes and services. They are for
    /// content, and for counting names that no rule knows.
    pub beginnings: &'static [&'static str],
}

impl DialectSigns {
    /// Nothing that shows it.
    pub const NONE: Self =
        Self { attributes: &[], first_token_event: None, values: &[], beginnings: &[] };
}

/// One attribute of a dialect.
#[derive(Debug, Clone, Copy)]
pub struct DialectRule {
    /// The attribute's key.
    pub key: &'static str,
    /// What becomes of it.
    pub action: RuleAction,
    /// Where several attributes say the same, the one of the lowest tier counts, then that of the
    /// first dialect in the list of dialects, then the first of the file.
    pub tier: u8,
    /// Whether others use the name too: it shows no dialect, and means this only in spans that
    /// something else shows to speak it. Several dialects may list one such name, with one meaning.
    pub is_common: bool,
    /// Whether the attribute stays where those go that are wholly said by current names.
    pub stays: bool,
    /// Whether it is a session, which stays, and is the conversation of operations that have one.
    pub is_session: bool,
}

/// A rule of the first tier.
#[must_use]
pub const fn rule(key: &'static str, action: RuleAction) -> DialectRule {
    DialectRule { key, action, tier: 0, is_common: false, stays: false, is_session: false }
}

/// A rule for a name that others use too.
#[must_use]
pub const fn common(key: &'static str, action: RuleAction) -> DialectRule {
    DialectRule { is_common: true, ..rule(key, action) }
}

impl DialectRule {
    /// The rule in another tier.
    #[must_use]
    pub const fn tier(self, tier: u8) -> Self {
        Self { tier, ..self }
    }

    /// The rule for an attribute that always stays.
    #[must_use]
    pub const fn stays(self) -> Self {
        Self { stays: true, ..self }
    }

    /// The rule for a session that joins other signals, too.
    #[must_use]
    pub const fn session(self) -> Self {
        Self { is_session: true, ..self.stays() }
    }
}

/// What an attribute of a dialect says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// The attribute has its current name already.
    Own(GenAiField),
    /// The attribute's value is that of a field.
    To(GenAiField),
    /// The value is that of a field, as JSON text.
    Quoted(GenAiField),
    /// The value is that of a field, in milliseconds instead of seconds.
    Millis(GenAiField),
    /// The value is a word for that of a field, by these; another word is the field's value itself.
    Words(GenAiField, &'static [(&'static str, &'static str)]),
    /// A list of JSON texts, each of which defines a tool.
    ToolTexts,
    /// The names of tools, between commas.
    ToolNames,
    /// A part of the message that came out.
    Answer(AnswerPart),
    /// The model that answered, and the one that was asked for if nothing else says that.
    Model,
    /// The kind of the span, as text or as the member `type` of a JSON object.
    Kind,
    /// The name of an event, which may say the kind.
    Event,
    /// What a JSON object says under `replies`, or under its own `meta`, of the model that gave them.
    Replies,
    /// A JSON object of request parameters.
    Parameters,
    /// The base URL of the provider's API.
    ApiBase,
    /// A JSON object that has, among others, the base URL as `api_base`.
    ApiBaseWithin,
    /// What the span's kind says what it is.
    Part(SpanPart),
    /// The media type of a part.
    MediaType(SpanPart),
    /// A JSON object, or a list of such, that says fields by its members and theirs: paths with `/`.
    Details(&'static [(&'static str, GenAiField)]),
    /// A JSON object that has at this path the usage that Anthropic's API gave, where input tokens are
    /// those beside the cache.
    AnthropicUsage(&'static str),
    /// A list of prompts without roles.
    Prompts,
    /// Messages as one JSON text, and the role of those that have none.
    Messages(GenAiField, &'static str),
    /// A total that follows from the parts.
    Total,
    /// One attribute of a list that is spread over many keys, by the list's index.
    List(usize),
    /// Nothing but whose dialect it is.
    Sign,
}

/// A part of the message that came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPart {
    /// Text of the model's reasoning.
    Reasoning,
    /// Text.
    Text,
    /// A JSON list of the tool calls.
    ToolCalls,
}

/// What spans of any kind have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanPart {
    /// The name of the tool, the agent, the workflow.
    Name,
    /// What went in.
    Input,
    /// What came out.
    Output,
}

/// A list that is spread over many keys, `PREFIX.N.REST`.
#[derive(Debug)]
pub struct IndexedList {
    /// The prefix with its last dot, at least eight bytes.
    pub prefix: &'static str,
    /// The field that the list becomes.
    pub field: GenAiField,
    /// The form of its elements.
    pub form: ListForm,
    /// See [`DialectRule::is_common`].
    pub is_common: bool,
}

/// The form of a list's elements.
#[derive(Debug, Clone, Copy)]
pub enum ListForm {
    /// Anything: what the list is as a field.
    Value(for<'a> fn(&'a Arena, &'a [Members<'a>]) -> &'a [Json<'a>]),
    /// Messages: what they are as a field, given the role of those that have none.
    Messages(for<'a> fn(&'a Arena, &'a [Members<'a>], &'a str) -> &'a [Json<'a>], &'static str),
    /// As `Messages`, with finish reasons.
    Completions(for<'a> fn(&'a Arena, &'a [Members<'a>], &'a str) -> &'a [Json<'a>], &'static str),
}

/// What the values of an attribute mean that names the span's kind.
#[derive(Debug)]
pub struct KindNames {
    /// The attribute's key.
    pub key: &'static str,
    /// The kinds that it may name.
    pub names: &'static [KindName],
}

/// One kind of span. A kind without an operation (a chain, a task, a guard) is a step of the
/// application, for which the conventions have no name.
#[derive(Debug)]
pub struct KindName {
    /// As the dialect writes it.
    pub name: &'static str,
    /// `gen_ai.operation.name`, whatever the case of the name.
    pub operation: Option<&'static str>,
    /// Whether calls of models that embed are of the kind, too, so that the model's name says which they are.
    pub may_embed: bool,
    /// What the dialect's parts are in such spans, where the name is written exactly so.
    pub parts: &'static [PartMeaning],
}

/// A kind with an operation.
#[must_use]
pub const fn kind(name: &'static str, operation: &'static str) -> KindName {
    KindName { name, operation: Some(operation), may_embed: false, parts: &[] }
}

/// A kind that is a step of the application.
#[must_use]
pub const fn step(name: &'static str) -> KindName {
    KindName { name, operation: None, may_embed: false, parts: &[] }
}

impl KindName {
    /// The kind of calls of all models.
    #[must_use]
    pub const fn of_any_model(self) -> Self {
        Self { may_embed: true, ..self }
    }

    /// The kind with parts.
    #[must_use]
    pub const fn with(self, parts: &'static [PartMeaning]) -> Self {
        Self { parts, ..self }
    }
}

/// What a part of a span is.
#[derive(Debug, Clone, Copy)]
pub struct PartMeaning {
    /// The part.
    pub part: SpanPart,
    /// How it is written.
    pub form: PartForm,
}

impl PartMeaning {
    /// What goes into a model call and comes out of it, as messages.
    pub const CONVERSATION: &'static [Self] = &[
        Self { part: SpanPart::Input, form: PartForm::Messages(GenAiField::InputMessages, "user") },
        Self {
            part: SpanPart::Output,
            form: PartForm::Messages(GenAiField::OutputMessages, "assistant"),
        },
    ];

    /// What goes into the call of a tool and comes out of it.
    pub const TOOL_CALL: &'static [Self] = &[
        Self { part: SpanPart::Input, form: PartForm::Last(GenAiField::ToolArguments) },
        Self { part: SpanPart::Output, form: PartForm::Last(GenAiField::ToolResult) },
    ];
}

/// What a part of a span is.
#[derive(Debug, Clone, Copy)]
pub enum PartForm {
    /// The value of a field, whatever other attributes say.
    First(GenAiField),
    /// The value of a field of which no other attribute says anything.
    Last(GenAiField),
    /// One message of this role, if it is text and no other attribute says anything.
    Message(GenAiField, &'static str),
    /// Messages as JSON, or one message of this role, if no other attribute says anything.
    Messages(GenAiField, &'static str),
    /// The provider's whole response as JSON.
    Response,
}

/// What a dialect calls content.
#[derive(Debug)]
pub struct ContentNames {
    /// Names of attributes. What goes on after one with a dot is content, too.
    pub names: &'static [&'static str],
    /// Names that `names` covers and that are no content.
    pub exceptions: &'static [&'static str],
    /// Plain words, which are content if the value is a text or a structure, but not if it is a
    /// number.
    pub words: &'static [&'static str],
    /// Plain words that others use, too: they are content only in items that speak a dialect.
    pub common_words: &'static [&'static str],
    /// Beginnings of names that are told apart by their last part.
    pub families: &'static [NameFamily],
    /// Names of span events and log records that carry nothing but content.
    pub events: &'static [&'static str],
}

impl ContentNames {
    /// A list of nothing.
    pub const NONE: Self = Self {
        names: &[],
        exceptions: &[],
        words: &[],
        common_words: &[],
        families: &[],
        events: &[],
    };
}

/// Names with a common beginning, told apart by their last part.
#[derive(Debug)]
pub struct NameFamily {
    /// The beginning, with its dot.
    pub root: &'static str,
    /// Which last parts are content.
    pub parts: NameParts,
}

/// Which of a family's last parts are content.
#[derive(Debug)]
pub enum NameParts {
    /// These.
    Only(&'static [&'static str]),
    /// All but these, and but those that end as a number, an id or a name does.
    AllBut(&'static [&'static str]),
}
