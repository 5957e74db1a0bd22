//! Documents against the published schemas of Kubernetes: the strict ones of 1.37, in which no unknown field is
//! allowed. `schemas.py` took those that are needed.

use std::path::Path;

use serde_json::{Map, Value};

pub struct Schemas {
    kinds: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl Schemas {
    pub fn read() -> Self {
        let path = testkit::root().join("tests/data/kubernetes/schemas.json");
        let mut root: Value = serde_json::from_str(&crate::read(&path)).unwrap();
        let mut take = |key: &str| match root[key].take() {
            Value::Object(map) => map,
            other => panic!("{key}: {other}"),
        };
        Self { kinds: take("kinds"), definitions: take("definitions") }
    }

    /// What is wrong with a document: a line for each place.
    pub fn check(&self, document: &Value) -> Vec<String> {
        let kind = document["kind"].as_str().unwrap_or_default();
        let Some(Value::String(definition)) = self.kinds.get(kind) else {
            return vec![format!("kind '{kind}' has no schema")];
        };
        let mut wrong = Vec::new();
        self.value(&self.definitions[definition], document, kind, &mut wrong);
        wrong
    }

    fn value(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.value(&self.definitions[name], value, at, wrong);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = |choice: &&Value| {
                let mut wrong = Vec::new();
                self.value(choice, value, at, &mut wrong);
                wrong.is_empty()
            };
            if choices.iter().filter(fits).count() != 1 {
                wrong.push(format!("{at}: {value} is none of {choices:?}"));
            }
            return;
        }
        if !is_of(&schema["type"], value) {
            wrong.push(format!("{at}: {value} is not of type {}", schema["type"]));
            return;
        }
        if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            wrong.push(format!("{at}: {value} is none of {}", schema["enum"]));
        }
        match value {
            Value::Object(map) => self.object(schema, map, at, wrong),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{at}[{index}]"), wrong);
                }
            }
            _ => {}
        }
    }

    fn object(&self, schema: &Value, map: &Map<String, Value>, at: &str, wrong: &mut Vec<String>) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !map.contains_key(required.as_str().unwrap()) {
                wrong.push(format!("{at}: {required} is missing"));
            }
        }
        for (key, value) in map {
            let at = format!("{at}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Object(_)) => {
                    self.value(&schema["additionalProperties"], value, &at, wrong);
                }
                (Value::Null, Value::Bool(false)) => {
                    wrong.push(format!("{at}: no such field"));
                }
                (Value::Null, _) => {}
                (property, _) => self.value(property, value, &at, wrong),
            }
        }
    }
}

/// Whether a value is of one of the types that a schema names.
fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    match types {
        Value::Null => true,
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        other => panic!("type {other}"),
    }
}

/// The documents of a YAML file.
pub fn documents(path: &Path) -> Vec<Value> {
    let text = crate::read(path);
    let mut documents = Vec::new();
    for part in text.split("\n---\n") {
        if part.lines().any(|line| !line.is_empty() && !line.starts_with(['#', ' '])) {
            let document = serde_saphyr::from_str::<Value>(part);
            documents.push(document.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    }
    documents
}

/// Scenario: right documents with one mistake each. Guarantees: the mistake is found, with its place.
#[test]
fn mistakes_in_manifests_are_found() {
    let schemas = Schemas::read();
    let right = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, targetPort: http}]}}";
    for (from, to, says) in [
        ("", "", ""),
        ("targetPort", "targetport", "Service.spec.ports[0].targetport: no such field"),
        ("port: 80", "port: eighty", "Service.spec.ports[0].port: \"eighty\" is not of type"),
        ("port: 80, ", "", "Service.spec.ports[0]: \"port\" is missing"),
        ("targetPort: http", "targetPort: 1.5", "Service.spec.ports[0].targetPort: 1.5 is none of"),
        ("v1", "apps/v1", "Service.apiVersion: \"apps/v1\" is none of"),
        ("Service", "Servise", "kind 'Servise' has no schema"),
    ] {
        let document: Value = serde_saphyr::from_str(&right.replacen(from, to, 1)).unwrap();
        let wrong = schemas.check(&document);
        match says {
            "" => assert!(wrong.is_empty(), "{wrong:?}"),
            says => assert!(wrong.len() == 1 && wrong[0].starts_with(says), "{says}: {wrong:?}"),
        }
    }
}
