//! Tool definitions: as providers write them -> the form of the GenAI conventions,
//! "gen-ai-tool-definitions.json": `{"type", "name", "description", "parameters"}`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::parts::parsed;
use crate::genai::json_value::{Arena, Json, Members, Pair, Text};

/// How far into a text the first definition shows its form.
const HEAD: usize = 256;

/// What holds the definition of a function in the forms of providers.
const FUNCTION: &str = "function";
const DECLARATIONS: [&str; 2] = ["functionDeclarations", "function_declarations"];

/// What texts in the forms of providers have; the second ends both of Google's spellings.
static MEMBERS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"function\":"), Finder::new("eclarations\":")]);

/// How the text of most begins that are in the form of the conventions.
const CURRENT: [&[u8]; 2] =
    [b"[{\"type\":\"function\",\"name\":", b"[{\"type\": \"function\", \"name\":"];

/// Whether the JSON text of definitions may have another form. Only its beginning is looked at.
pub(super) fn may_be_foreign(text: &[u8]) -> bool {
    let head = text.get(..HEAD).unwrap_or(text);
    let is_current = CURRENT.iter().any(|current| text.starts_with(current));
    !is_current && MEMBERS.iter().any(|member| member.find(head).is_some())
}

/// Definitions of one JSON text, in the form of the conventions; `None` if they are in it.
pub(super) fn of_foreign<'a>(arena: &'a Arena, text: &'a str) -> Option<&'a [Json<'a>]> {
    let list = parsed(arena, text)?.as_list()?;
    if list.iter().all(|tool| functions(tool).is_none()) {
        return None;
    }
    Some(definitions(arena, list))
}

/// The functions that a tool defines in another form, and the member that has them.
fn functions<'a>(tool: &'a Json<'a>) -> Option<(&'static str, &'a [Json<'a>])> {
    let members = tool.as_object()?;
    let keys = [FUNCTION, DECLARATIONS[0], DECLARATIONS[1]];
    let key = keys.into_iter().find(|key| members.has(key))?;
    let held = members.pairs().iter().find(|(name, _)| name.as_str() == key);
    let functions = match held.map(|(_, held)| held)? {
        function @ Json::Object(_) if key == FUNCTION => std::slice::from_ref(function),
        Json::List(list) if key != FUNCTION => list,
        _ => return None,
    };
    // What would be another form again stays as it is.
    let is_plain = |name: &str| name != FUNCTION && !DECLARATIONS.contains(&name);
    let is_one = |it: Members<'_>| it.has("name") && it.names().all(is_plain);
    let others = members.names().filter(|other| !is_plain(other)).count();
    let is_whole = others == 1
        && !functions.is_empty()
        && functions.iter().all(|it| it.as_object().is_some_and(is_one));
    is_whole.then_some((key, functions))
}

/// The definitions in the form of the conventions. Those of a form that is not known stay as they are.
pub(super) fn definitions<'a>(arena: &'a Arena, list: &'a [Json<'a>]) -> &'a [Json<'a>] {
    let mut all = arena.building(list.len());
    for tool in list {
        let Some((key, inner)) = functions(tool) else {
            all.push(*tool);
            continue;
        };
        let mut around = tool.as_object().unwrap_or_default().without(arena, key);
        // What stands beside one function is said of it; beside a list it is another tool.
        let (kind, beside, other) = if key == FUNCTION {
            (around.take(arena, "type"), around, Members::default())
        } else {
            (None, Members::default(), around)
        };
        for function in inner.iter().filter_map(|function| function.as_object()) {
            all.push(definition(arena, function, kind, beside));
        }
        if !other.is_empty() {
            all.push(Json::Object(other));
        }
    }
    all.into_bump_slice()
}

/// One definition of a function.
fn definition<'a>(
    arena: &'a Arena,
    mut function: Members<'a>,
    kind: Option<Json<'a>>,
    beside: Members<'a>,
) -> Json<'a> {
    let kind = kind.or_else(|| function.take(arena, "type"));
    let room = function.len().saturating_add(beside.len()).saturating_add(1);
    let mut definition = arena.building::<Pair<'a>>(room);
    definition.push((Text::word("type"), kind.unwrap_or(Json::word(FUNCTION))));
    let renamed = function.pairs().iter().map(|(name, value)| {
        // Google's name for a schema that is no OpenAPI.
        let is_schema = matches!(name.as_str(), "parametersJsonSchema" | "parameters_json_schema");
        (if is_schema { Text::word("parameters") } else { *name }, *value)
    });
    for (name, value) in renamed.chain(beside.pairs().iter().copied()) {
        if definition.iter().all(|(known, _)| *known != name) {
            definition.push((name, value));
        }
    }
    Json::Object(Members::of(definition))
}

/// Takes the definitions that a request has beside its messages, in the form of the conventions, if `is_taken` says so.
pub(super) fn take_tools<'a>(
    arena: &'a Arena,
    request: &mut Members<'a>,
    is_taken: impl FnOnce(&[Json<'a>]) -> bool,
) {
    let is_tool = |tool: &'a Json<'a>| tool.get("name").is_some() || functions(tool).is_some();
    let tools = request.get("tools").and_then(Json::as_list);
    let tools = tools.filter(|tools| tools.iter().all(is_tool));
    if tools.is_some_and(|tools| is_taken(definitions(arena, tools))) {
        request.take(arena, "tools");
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::rendered;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn of_foreign(text: &str) -> Option<String> {
        rendered(super::of_foreign(&Arena::default(), text)?)
    }

    fn soup() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!("function")), Just(json!(null)), Just(json!(1))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key = prop::sample::select(vec![
                "type",
                "name",
                "function",
                "functionDeclarations",
                "parameters",
                "parametersJsonSchema",
                "x",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::vec((key, inner), 0..4).prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        /// Scenario: any JSON. Guarantees: what becomes of it stays.
        #[test]
        fn doing_it_twice_is_doing_it_once(tools in prop::collection::vec(soup(), 1..3)) {
            let once = of_foreign(&Value::Array(tools).to_string());
            if let Some(once) = once {
                prop_assert_eq!(of_foreign(&once).filter(|again| *again != once), None);
            }
        }
    }

    /// Scenario: definitions in the forms of OpenAI and Google, and in others. Guarantees: those of functions
    /// get the conventions' form once, with all that they say; others stay.
    #[test]
    fn functions_get_the_form_of_the_conventions() {
        for (given, expected) in [
            (
                r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true},"x":1}]"#,
                Some(
                    r#"[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true,"x":1}]"#,
                ),
            ),
            (
                r#"[{"function": {"name":"f"}},{"name":"g","input_schema":{}}]"#,
                Some(r#"[{"type":"function","name":"f"},{"name":"g","input_schema":{}}]"#),
            ),
            (
                r#"[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{}},{"name":"g"}],"googleSearch":{}}]"#,
                Some(
                    r#"[{"type":"function","name":"f","parameters":{}},{"type":"function","name":"g"},{"googleSearch":{}}]"#,
                ),
            ),
            (r#"[{"type":"function","name":"f","parameters":{"function":{"a":1}}}]"#, None),
            (
                r#"[{"function_declarations":[{"name":"f"}],"codeExecution":{}},{"functionDeclarations":[]}]"#,
                Some(
                    r#"[{"type":"function","name":"f"},{"codeExecution":{}},{"functionDeclarations":[]}]"#,
                ),
            ),
            (r#"{"function":{"name":"f"}}"#, None),
            ("[", None),
        ] {
            let made = of_foreign(given);
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(made.as_deref().map(read), expected.map(read), "{given}");
            assert!(made.is_none() || may_be_foreign(given.as_bytes()), "{given}");
            assert_eq!(made.as_deref().and_then(of_foreign), None, "{given}");
        }
    }
}
