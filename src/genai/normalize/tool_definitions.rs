//! Tool definitions: as providers write them -> the form of the GenAI conventions,
//! "gen-ai-tool-definitions.json": `{"type", "name", "description", "parameters"}`.

use super::parts::{parsed, rendered};
use crate::genai::json_value::{Json, Members};

/// How far into a text the first definition shows its form.
const HEAD: usize = 256;

/// What holds the definition of a function in the forms of providers.
const FUNCTION: &str = "function";
const DECLARATIONS: [&str; 2] = ["functionDeclarations", "function_declarations"];

/// How the text of most begins that are in the form of the conventions.
const CURRENT: [&[u8]; 2] =
    [b"[{\"type\":\"function\",\"name\":", b"[{\"type\": \"function\", \"name\":"];

/// Whether the JSON text of definitions may have another form. Only its beginning is looked at.
pub(super) fn may_be_foreign(text: &[u8]) -> bool {
    let head = text.get(..HEAD).unwrap_or(text);
    let has = |key: &[u8]| memchr::memmem::find(head, key).is_some();
    let is_current = CURRENT.iter().any(|current| text.starts_with(current));
    // The second ends both of Google's spellings.
    !is_current && (has(b"\"function\":") || has(b"eclarations\":"))
}

/// Definitions as one JSON text, in the form of the conventions; `None` if they are in it.
pub(super) fn of_foreign(text: &str) -> Option<String> {
    let list = parsed(text)?.into_list()?;
    if list.iter().all(|tool| function(tool).is_none() && declarations(tool).is_none()) {
        return None;
    }
    rendered(definitions(list))
}

fn function<'j, 'a>(tool: &'j Json<'a>) -> Option<&'j Members<'a>> {
    tool.get(FUNCTION)?.as_object().filter(|function| function.has("name"))
}

fn declarations<'j, 'a>(tool: &'j Json<'a>) -> Option<&'j [Json<'a>]> {
    tool.as_object()?.first(&DECLARATIONS)?.as_list()
}

/// The definitions in the form of the conventions. Those of a form that is not known stay as they are.
pub(super) fn definitions(list: Vec<Json<'_>>) -> Vec<Json<'_>> {
    let mut all = Vec::with_capacity(list.len());
    for tool in list {
        let inner: Vec<Members<'_>> = match (function(&tool), declarations(&tool)) {
            (Some(function), _) => vec![function.clone()],
            (None, Some(list)) => list.iter().filter_map(Json::as_object).cloned().collect(),
            (None, None) => {
                all.push(tool);
                continue;
            }
        };
        let Json::Object(mut around) = tool else { continue };
        around.take(FUNCTION);
        DECLARATIONS.iter().for_each(|key| drop(around.take(key)));
        let kind = around.take("type");
        // What stands beside one function is said of it; beside a list it is another tool.
        let (beside, other) = if kind.is_some() || inner.len() == 1 {
            (around, Members::default())
        } else {
            (Members::default(), around)
        };
        let kind = kind.unwrap_or_else(|| FUNCTION.into());
        for function in inner {
            all.push(definition(function, kind.clone(), &beside));
        }
        if !other.is_empty() {
            all.push(Json::Object(other));
        }
    }
    all
}

/// One definition of a function.
fn definition<'a>(function: Members<'a>, kind: Json<'a>, beside: &Members<'a>) -> Json<'a> {
    let mut definition = Members::with_capacity(function.len().saturating_add(1));
    definition.push("type", kind);
    for (key, value) in function {
        // Google's name for a schema that is no OpenAPI.
        let key = match key.as_ref() {
            "parametersJsonSchema" | "parameters_json_schema" => "parameters".into(),
            _ => key,
        };
        if !definition.has(&key) {
            definition.push(key, value);
        }
    }
    for (key, value) in beside.iter() {
        if !definition.has(key) {
            definition.push(key.to_owned(), value.clone());
        }
    }
    Json::Object(definition)
}

/// Takes the definitions that a request has beside its messages, as JSON text in the form of the conventions, if
/// `is_taken` says so.
pub(super) fn take_tools(request: &mut Members<'_>, is_taken: impl FnOnce(&str) -> bool) {
    let is_tool = |tool: &Json<'_>| {
        tool.get("name").is_some() || function(tool).is_some() || declarations(tool).is_some()
    };
    let tools = request.get("tools").and_then(Json::as_list);
    let tools = tools.filter(|tools| tools.iter().all(is_tool));
    let rendered = tools.and_then(|tools| rendered(definitions(tools.to_vec())));
    if rendered.is_some_and(|rendered| is_taken(&rendered)) {
        request.take("tools");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
