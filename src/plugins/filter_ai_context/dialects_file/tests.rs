//! Own dialects: what they make of spans, how their mistakes are told, that twice is once.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::codec::msgpack;
use crate::codec::records::{ItemReader, ItemStep};
use crate::genai::{
    ContentClass, ContextProcessor, ContextSettings, ContextTally, Conventions, KeyRules,
    OnFailure, Replacement, content_class, is_dialect_mark,
};
use crate::model::Position;

fn parsed(text: &str) -> (AddedDialects, Vec<String>) {
    let root: Value = serde_saphyr::from_str(text).unwrap();
    let (dialects, notes) = read(Node { map: root.as_object().unwrap(), at: "" });
    (dialects, notes.finish())
}

/// The example of the guide.
fn example() -> AddedDialects {
    let guide = include_str!("../../../../docs/ai_context.md");
    let section = guide.split_once("### Own mappings").unwrap().1;
    let text = section.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let (dialects, problems) = parsed(text);
    assert_eq!(problems, [""; 0]);
    dialects
}

fn settings(dialects: AddedDialects) -> ContextSettings {
    ContextSettings {
        normalize: true,
        dialects,
        keep_originals: false,
        conventions: Conventions::V1_41,
        correlate: false,
        redact: Vec::new(),
        patterns: Vec::new(),
        keys: KeyRules::default(),
        search_resource: false,
        replacement: Replacement::Mask,
        mark_findings: false,
        on_failure: OnFailure::Drop,
        copy_metadata: false,
        record_key: None,
        identify: None,
        baggage: None,
        position: Position { run: 1, after: 1 },
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    out.extend(rmp_serde::to_vec(value).unwrap());
}

fn span(attributes: &Value) -> Vec<u8> {
    let mut chunk = vec![0x92, 0x92, 0x05];
    encode(&json!({ "otlp": { "v": 1, "signal": "span" } }), &mut chunk);
    msgpack::map_header(&mut chunk, 1);
    msgpack::str(&mut chunk, "attributes");
    encode(attributes, &mut chunk);
    chunk
}

/// The attributes of a span after the filter, and what was counted.
fn mapped(settings: ContextSettings, attributes: &Value) -> (Value, ContextTally) {
    let chunk = span(attributes);
    let mut tally = ContextTally::default();
    let out = ContextProcessor::new(settings).process(&chunk, &mut tally).unwrap_or(chunk);
    let Some(ItemStep::Item(item)) = ItemReader::new(&out).step(&mut ()) else { panic!("no span") };
    (rmp_serde::from_slice(item.span.attributes).unwrap(), tally)
}

#[test]
fn the_guides_example_maps_its_spans() {
    let dialects = example();
    let call = json!({
        "acme.kind": "LLM", "acme.vendor": "claude", "acme.model": "sonnet", "acme.request": "r1",
        "acme.stopped": "end_turn", "acme.tokens.in": "10", "acme.tokens.out": 5,
        "acme.tokens": "{\"cached\": 90}", "acme.first_token_ms": 250, "acme.asked": "hi",
        "acme.answers.0.role": "assistant", "acme.answers.0.content": "hello", "session": "s1",
        "acme.unheard_of": 1, "other": "x",
    });
    let want = json!({
        "acme.unheard_of": 1, "other": "x", "session": "s1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "sonnet",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 90,
        "gen_ai.conversation.id": "s1",
        "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"hi\"}]}]",
        "gen_ai.output.messages":
            "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":\"hello\"}],\
              \"finish_reason\":\"stop\"}]",
    });
    let (attributes, tally) = mapped(settings(dialects), &call);
    let (mut got, mut want) = (attributes, want);
    for value in [&mut got, &mut want] {
        for key in ["gen_ai.input.messages", "gen_ai.output.messages"] {
            value[key] = serde_json::from_str(value[key].as_str().unwrap()).unwrap();
        }
    }
    // The reason that is a word of the dialect stays, as a word of the conventions stands for several.
    want["acme.stopped"] = json!("end_turn");
    assert_eq!(
        got["gen_ai.output.messages"][0]["parts"],
        want["gen_ai.output.messages"][0]["parts"]
    );
    want["gen_ai.output.messages"] = got["gen_ai.output.messages"].clone();
    assert_eq!(got, want);
    assert_eq!(tally.normalized.added().next(), Some(1));
    assert_eq!(tally.normalized.values().sum::<u64>(), 0);

    let tool = json!({ "acme.kind": "TOOL", "acme.in": "{\"a\":1}", "acme.out": "done" });
    let want = json!({
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.arguments": "{\"a\":1}", "gen_ai.tool.call.result": "done",
    });
    assert_eq!(mapped(settings(dialects), &tool).0, want);
    // A value shows the dialect, too; without any sign a common name means nothing.
    let shown = json!({ "sdk.name": "acme-py", "session": "s1" });
    assert_eq!(mapped(settings(dialects), &shown).0["gen_ai.conversation.id"], "s1");
    let unshown = json!({ "sdk.name": "other", "session": "s1" });
    assert_eq!(mapped(settings(dialects), &unshown).0, unshown);
    let names: Vec<&str> = dialects.names().collect();
    assert_eq!(names, ["acme"]);
}

/// Scenario: keys that a built-in dialect has. Guarantees: they mean what the own dialect says, and show
/// the built-in one as before; a filter without own mappings has the built-in meaning.
#[test]
fn own_meanings_go_before_built_in_ones() {
    let (dialects, problems) = parsed(
        r"
dialects:
  - name: ours
    rules:
      - {key: llm.model_name, to: gen_ai.response.model}
      - {key: input_tokens, to: gen_ai.usage.input_tokens, common: true}
      - {key: ours.sign, to: gen_ai.agent.name}
",
    );
    assert_eq!(problems, [""; 0]);
    let given = json!({
        "llm.model_name": "m", "openinference.span.kind": "LLM", "llm.token_count.completion": 7,
        "input_tokens": 3,
    });
    let (ours, tally) = mapped(settings(dialects), &given);
    let want = json!({
        "gen_ai.operation.name": "chat", "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 7,
    });
    assert_eq!(ours, want);
    assert_eq!(
        (tally.normalized.added().next(), tally.normalized.of("openinference")),
        (Some(1), 0)
    );
    // A common key is one of the dialects that had it.
    let claude = json!({ "span.type": "llm_request", "input_tokens": 3 });
    let (claude, tally) = mapped(settings(dialects), &claude);
    assert_eq!(claude["gen_ai.usage.input_tokens"], 3);
    assert_eq!((tally.normalized.added().next(), tally.normalized.of("claude_code")), (Some(0), 1));
    let unshown = json!({ "input_tokens": 3 });
    assert_eq!(mapped(settings(dialects), &unshown).0, unshown);
    let (built_in, tally) = mapped(settings(AddedDialects::NONE), &given);
    assert_eq!(built_in["gen_ai.request.model"], "m");
    assert_eq!(tally.normalized.of("openinference"), 1);
}

#[test]
fn content_names_are_known_to_all_and_a_text_is_read_once() {
    let text = r"
dialects:
  - name: hush
    known_by: {beginnings: ['hush_mark.']}
    rules:
      - {key: hush.question, to: gen_ai.input.messages, form: messages}
      - {key: hush_plain, to: gen_ai.tool.call.result, common: true}
      - {key: hush.model, to: gen_ai.request.model}
    content:
      names: [hush.notes]
      exceptions: [hush.notes.id]
      families: [{root: hush_family., only: [secret]}]
      events: [hush_event]
";
    assert_eq!(content_class(b"hush.question"), ContentClass::Unlisted);
    let (first, problems) = parsed(text);
    assert_eq!(problems, [""; 0]);
    for (name, class) in [
        ("hush.question", ContentClass::Content),
        ("hush.notes.more", ContentClass::Content),
        ("hush.notes.id", ContentClass::Unlisted),
        ("hush_family.a.secret", ContentClass::Content),
        ("hush_family.a.plain", ContentClass::Unlisted),
        ("hush_plain", ContentClass::Word),
        ("hush.model", ContentClass::Unlisted),
        // A weaker word of one list does not undo another's.
        ("gen_ai.input.messages", ContentClass::Content),
    ] {
        assert_eq!(content_class(name.as_bytes()), class, "{name}");
    }
    assert!(is_dialect_mark(b"hush_mark.x") && is_dialect_mark(b"hush.model"));
    assert!(crate::genai::is_content_event("hush_event"));
    let (again, _) = parsed(text);
    assert!(std::ptr::eq(first.dialects(), again.dialects()));
}

/// A file of mistakes.
const WRONG: &str = r"
dialects:
  - name: openinference
    rules: [{key: a.b, to: gen_ai.request.model}]
  - name: A
    knwon_by: {}
    rules:
      - {key: a.c, to: gen_ai.operation.name}
      - {key: gen_ai.request.model, to: gen_ai.response.model}
      - {key: a.d, to: gen_ai.request.model, means: model}
      - {key: a.e, means: nothing}
      - {key: a.f, to: gen_ai.request.model, form: milliseconds}
      - {key: a.g, to: gen_ai.usage.input_tokens, words: {a: b}}
      - {key: a.h, means: kind}
      - {key: a.i, to: gen_ai.request.model, role: user}
      - {key: a.j, means: input_media_type}
      - {key: a.k, members: {x: z}}
      - {key: a.k, to: gen_ai.seed, extra: 1}
      - {key: llm.model_name, to: gen_ai.response.model, common: true}
    excludes_cache_of: [anthropic, bedrock]
  - {name: empty}
  - name: unshown
    rules: [{key: x, to: gen_ai.request.model, common: true}]
    operations: {chat: text_completion, talk: chatting}
    lists: [{prefix: short, to: gen_ai.request.model, form: openllmetry}]
    kinds: [{key: z, names: [{name: Z, operation: x, input: {to: user.id}}, {name: W, may_embed: true}]}]
    content: {families: [{root: ab, only: [x], all_but: [b]}], names: x}
  - name: unshown
    rules: [{key: a.b, to: gen_ai.agent.name}]
    known_by: {values: [{key: user.id, beginnings: [a]}]}
  - 7
";

/// What is said of them, in this order.
const SAID: &[&str] = &[
    "dialects[5] must be a map",
    "dialects[0].name: \"openinference\" is not allowed; allowed: a name that no built-in",
    "dialects[1].knwon_by: this key is not known; allowed keys: name, known_by, rules",
    "dialects[1].name: \"A\" is not allowed; allowed: up to 64 lower-case",
    "dialects[1].rules[0].to: \"gen_ai.operation.name\" is not allowed; allowed: gen_ai.provider.name",
    "dialects[1].rules[2] must have one of 'to', 'members' and 'means'",
    "dialects[1].rules[3].means: \"nothing\" is not allowed; allowed: kind, event, name",
    "dialects[1].rules[4].form: \"milliseconds\" is not allowed; allowed for gen_ai.request.model",
    "dialects[1].rules[5].words: {\"a\":\"b\"} is not allowed; allowed: for attributes whose",
    "dialects[1].rules[7].role: \"user\" is not allowed; allowed: with 'form: messages' only",
    "dialects[1].rules[9].members: {\"x\":\"z\"} is not allowed; allowed: gen_ai.provider.name",
    "dialects[1].rules[10].extra: this key is not known; allowed keys: key, to, form",
    "dialects[1].rules[10].to: \"gen_ai.seed\" is not allowed",
    "dialects[1].kinds: what the values of 'a.h' mean is missing",
    "dialects[1].rules: 'gen_ai.request.model' is a current name; allowed: keys that",
    "dialects[1].rules: 'a.j' is the media type of what no rule means",
    "dialects[1].rules: 'llm.model_name' means something else in a built-in dialect; allowed:",
    "dialects[1].excludes_cache_of: [\"anthropic\",\"bedrock\"] is not allowed; allowed: values of",
    "dialects[2] must have 'rules', 'lists' or 'content'",
    "dialects[3].lists[0].prefix: \"short\" is not allowed; allowed: a text of at least 8",
    "dialects[3].lists[0].to: \"gen_ai.request.model\" is not allowed; allowed for lists",
    "dialects[3].kinds[0].names[0].operation: \"x\" is not allowed; allowed: chat, text_completion",
    "dialects[3].kinds[0].names[1].may_embed: true is not allowed; allowed: with an 'operation'",
    "dialects[3].kinds[0].key: \"z\" is not allowed; allowed: a key of a rule that means",
    "dialects[3].content.names: \"x\" is not allowed; allowed: a list of texts",
    "dialects[3].content.families[0].root: \"ab\" is not allowed; allowed: a text of at least 4",
    "dialects[3].content.families[0] must have one of 'only' and 'all_but'",
    "dialects[3]: nothing shows the dialect; allowed: a rule without 'common'",
    "dialects[3].operations: 'chat' is an operation; allowed: other names",
    "dialects[3].operations.talk: \"chatting\" is not allowed; allowed: chat, text_completion",
    "dialects[4].known_by.values[0].key: \"user.id\" is not allowed; allowed: a key that is no",
    "dialects[4].name: \"unshown\" is not allowed; allowed: a name that no other dialect has",
    "dialects[4]: the key 'a.b' is one of a dialect before it; allowed: in both with",
];

#[test]
fn every_mistake_is_reported_with_its_place() {
    let (_, problems) = parsed(WRONG);
    for (problem, want) in problems.iter().zip(SAID) {
        assert!(problem.starts_with(*want), "{problem} is not {want}");
    }
    assert_eq!(problems.len(), SAID.len(), "{problems:#?}");
    assert_eq!(parsed("dialects: 7").1, ["dialects: allowed: a list of maps"]);
    let many = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<String>();
    let dialects =
        many(17, |index| format!("  - {{name: d{index}, content: {{names: [many{index}]}}}}\n"));
    assert!(parsed(&format!("dialects:\n{dialects}")).1[0].contains("17 are given; allowed: 16"));
    let rules =
        many(513, |index| format!("      - {{key: many.{index}, to: gen_ai.request.model}}\n"));
    let problems = parsed(&format!("dialects:\n  - name: large\n    rules:\n{rules}")).1;
    assert!(problems[0].contains("513 keys together; allowed: 512"), "{problems:?}");
}

/// Keys of own rules: new ones, common ones, and some that built-in dialects have.
const SOUP_KEYS: [&str; 12] = [
    "own.a",
    "own.b",
    "own.c",
    "own.d",
    "own.e",
    "own.f",
    "model",
    "input_tokens",
    "llm.model_name",
    "gen_ai.system",
    "acme",
    "llm.token_count.prompt",
];

fn rule_soup() -> impl Strategy<Value = Value> {
    let fields = prop::sample::select(vec![
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.provider.name",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.response.finish_reasons",
        "gen_ai.request.temperature",
        "gen_ai.request.stream",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.description",
        "user.id",
    ]);
    let messages = prop::sample::select(vec!["gen_ai.input.messages", "gen_ai.output.messages"]);
    prop_oneof![
        4 => fields.clone().prop_map(|field| json!({ "to": field })),
        1 => fields.clone().prop_map(|field| json!({ "to": field, "form": "json" })),
        1 => messages.prop_map(|field| json!({ "to": field, "form": "messages" })),
        1 => Just(json!({ "to": "gen_ai.provider.name", "words": { "a": "openai", "1": "b" } })),
        1 => Just(json!({ "to": "gen_ai.response.finish_reasons", "words": { "a": "stop" } })),
        1 => Just(json!({ "to": "gen_ai.tool.definitions", "form": "tool_names" })),
        1 => Just(json!({
            "to": "gen_ai.response.time_to_first_chunk", "form": "milliseconds"
        })),
        1 => fields.prop_map(|field| json!({ "members": { "a": field } })),
        2 => prop::sample::select(vec![
            "kind", "input", "output", "answer_text", "answer_tool_calls", "model", "parameters",
            "base_url", "total_tokens",
        ]).prop_map(|word| json!({ "means": word })),
    ]
}

fn dialect_soup() -> impl Strategy<Value = Value> {
    let rule = (rule_soup(), any::<bool>(), any::<bool>());
    let rules = prop::collection::vec(rule, SOUP_KEYS.len());
    (rules, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(rules, cache, reasoning, serves, sign)| {
            let mut kinds = Vec::new();
            let mut has_input = false;
            let rules: Vec<Value> = rules
                .into_iter()
                .zip(SOUP_KEYS)
                .map(|((mut rule, common, stays), key)| {
                    has_input |= rule["means"] == "input";
                    rule["key"] = json!(key);
                    // A common name of others means the same.
                    let is_free = key.starts_with("own.") || key == "acme";
                    rule["common"] = json!(common && is_free && key != "own.a");
                    rule["stays"] = json!(stays);
                    if rule["means"] == "kind" {
                        kinds.push(key);
                    }
                    rule
                })
                .collect();
            let part = json!({ "to": "gen_ai.input.messages", "form": "messages" });
            let mut name = json!({ "name": "a", "operation": "chat" });
            if has_input {
                name["input"] = part;
            }
            let names =
                json!([name, { "name": "b", "operation": "invoke_agent" }, { "name": "c" }]);
            let kinds: Vec<Value> =
                kinds.iter().map(|key| json!({ "key": key, "names": names })).collect();
            let mut dialect = json!({
                "name": "soup", "rules": rules, "kinds": kinds, "excludes_cache": cache,
                "excludes_reasoning": reasoning, "serves_models": serves,
                "operations": { "a": "chat", "b": "execute_tool" },
            });
            if sign {
                dialect["tool_sign"] = json!("gen_ai.tool.description");
            }
            json!([dialect])
        },
    )
}

fn attribute_soup() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "c",
            "",
            "12",
            "true",
            "{\"a\": 3}",
            "[{\"role\":\"user\",\"content\":\"x\"}]",
            "{\"messages\":[],\"model\":\"m\"}",
            "https://api.x:8443/v1",
            "stop",
        ])
        .prop_map(Value::from),
        (0_i64..200).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!(["a", "stop"])),
        Just(json!({ "a": 1 })),
    ];
    let mut keys = SOUP_KEYS.to_vec();
    keys.extend([
        "gen_ai.operation.name",
        "gen_ai.usage.input_tokens",
        "gen_ai.response.finish_reasons",
        "openinference.span.kind",
        "span.type",
    ]);
    prop::collection::vec((prop::sample::select(keys), value), 0..12).prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        Value::Object(pairs.collect::<Map<String, Value>>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Scenario: own tables of any rules, spans of any attributes. Guarantees: twice is once, and without
    /// `keep_originals: off` nothing is lost.
    #[test]
    fn own_mappings_settle(
        section in dialect_soup(),
        all in prop::collection::vec(attribute_soup(), 1..24),
        later in any::<bool>(),
    ) {
        let section: &'static Value = Box::leak(Box::new(section));
        let tables = tables(section).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let dialects = AddedDialects::of(Box::leak(Box::new(tables)));
        let conventions = if later { Conventions::GenAi0_1 } else { Conventions::V1_41 };
        for attributes in all {
            for keep_originals in [false, true] {
                let settings =
                    ContextSettings { keep_originals, conventions, ..settings(dialects) };
                let (once, _) = mapped(settings.clone(), &attributes);
                let (twice, tally) = mapped(settings, &once);
                prop_assert_eq!(&once, &twice, "{}", attributes);
                prop_assert_eq!(tally, ContextTally::default(), "{}", once);
                for (key, _) in attributes.as_object().unwrap() {
                    prop_assert!(!keep_originals || once.get(key).is_some(), "{}", key);
                }
            }
        }
    }
}
