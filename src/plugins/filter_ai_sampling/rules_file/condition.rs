//! Conditions of rules: fields, operators and datatypes.

use regex::bytes::Regex;
use serde_json::Value;

use crate::config::{Node, Notes};
use crate::sampling::policy::{Comparison, Field, Operand, RuleCondition, ValueCheck, truncated};

pub(super) const KEYS: [&str; 5] = ["Field", "Fields", "Operator", "Value", "Datatype"];
/// Every operator.
pub(super) const OPERATORS: &str = "allowed: =, !=, >, <, >=, <=, starts-with, contains, does-not-contain, exists, \
                         not-exists, has-root-span, matches, in, not-in";
const DATATYPES: &str = "allowed: string, int, float, bool";
/// The field with the number of spans of the trace.
const DESCENDANTS: &str = "?.NUM_DESCENDANTS";

/// What values are made before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Datatype {
    Text,
    Int,
    Float,
    Bool,
}

/// Reads a condition.
pub(super) fn read(node: Node<'_>, nested: bool, notes: &mut Notes) -> Option<RuleCondition> {
    notes.known(node, &KEYS);
    let operator = notes.text(node, "Operator")?;
    if operator == "has-root-span" {
        return Some(RuleCondition::HasRoot(is_true(node.map.get("Value"))));
    }
    let check = check(node, &operator, notes);
    let names = names(node, notes)?;
    if names.iter().any(|name| name == DESCENDANTS) {
        if names.len() > 1 {
            notes.refuse(node, "Fields", "allowed: ?.NUM_DESCENDANTS alone, under 'Field'");
        }
        return check.map(RuleCondition::SpanCount);
    }
    let key = if node.map.contains_key("Fields") { "Fields" } else { "Field" };
    let mut fields = Vec::new();
    for name in names {
        match Field::parse(&name) {
            Ok(field) => fields.push(field),
            Err(allowed) => notes.refuse(node, key, allowed),
        }
    }
    check.map(|check| RuleCondition::Field { fields, nested, check })
}

fn names(node: Node<'_>, notes: &mut Notes) -> Option<Vec<String>> {
    match (node.map.get("Field"), node.map.get("Fields")) {
        (Some(_), Some(_)) => {
            notes.refuse(node, "Fields", "allowed: one of 'Field' and 'Fields'");
            None
        }
        (None, Some(_)) => Some(notes.texts(node, "Fields")),
        _ => notes.text(node, "Field").map(|field| vec![field]),
    }
}

fn check(node: Node<'_>, operator: &str, notes: &mut Notes) -> Option<ValueCheck> {
    let datatype = datatype(node, notes)?;
    let comparison = match operator {
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        ">" => Comparison::Greater,
        "<" => Comparison::Less,
        ">=" => Comparison::GreaterOrEqual,
        "<=" => Comparison::LessOrEqual,
        "exists" => return Some(ValueCheck::Exists),
        "not-exists" => return Some(ValueCheck::NotExists),
        "starts-with" => return text(node, notes).map(ValueCheck::StartsWith),
        "contains" => return text(node, notes).map(|text| ValueCheck::Contains(text, true)),
        "does-not-contain" => {
            return text(node, notes).map(|text| ValueCheck::Contains(text, false));
        }
        "in" => return among(node, datatype, true, notes),
        "not-in" => return among(node, datatype, false, notes),
        "matches" => return matches(node, notes),
        _ => {
            notes.refuse(node, "Operator", OPERATORS);
            return None;
        }
    };
    let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    match datatype {
        // Truth values have no order, so that Refinery compares them as if no type were given.
        None => untyped(node, notes).map(|operand| ValueCheck::Compares(comparison, operand)),
        Some(Datatype::Bool) if is_order => {
            untyped(node, notes).map(|operand| ValueCheck::Compares(comparison, operand))
        }
        Some(datatype) => {
            let operand = made(node, node.map.get("Value"), datatype, notes)?;
            Some(ValueCheck::ComparesAs(comparison, operand))
        }
    }
}

fn datatype(node: Node<'_>, notes: &mut Notes) -> Option<Option<Datatype>> {
    match node.map.get("Datatype").map(Value::as_str) {
        None | Some(Some("")) => Some(None),
        Some(Some("string")) => Some(Some(Datatype::Text)),
        Some(Some("int")) => Some(Some(Datatype::Int)),
        Some(Some("float")) => Some(Some(Datatype::Float)),
        Some(Some("bool")) => Some(Some(Datatype::Bool)),
        Some(_) => {
            notes.refuse(node, "Datatype", DATATYPES);
            None
        }
    }
}

fn among(
    node: Node<'_>,
    datatype: Option<Datatype>,
    wanted: bool,
    notes: &mut Notes,
) -> Option<ValueCheck> {
    if datatype == Some(Datatype::Bool) {
        notes.refuse(node, "Datatype", "allowed with this operator: string, int, float");
        return None;
    }
    let datatype = datatype.unwrap_or(Datatype::Text);
    let values = match node.map.get("Value") {
        Some(Value::Array(values)) => values.iter().map(Some).collect(),
        value => vec![value],
    };
    let operands: Option<Vec<Operand>> =
        values.into_iter().map(|value| made(node, value, datatype, notes)).collect();
    Some(ValueCheck::IsIn(operands?, wanted))
}

fn matches(node: Node<'_>, notes: &mut Notes) -> Option<ValueCheck> {
    let pattern = String::from_utf8(text(node, notes)?).ok()?;
    match Regex::new(&pattern) {
        Ok(pattern) => Some(ValueCheck::Matches(pattern)),
        Err(error) => {
            notes.refuse(node, "Value", &error.to_string());
            None
        }
    }
}

/// The value as text.
fn text(node: Node<'_>, notes: &mut Notes) -> Option<Vec<u8>> {
    match made(node, node.map.get("Value"), Datatype::Text, notes)? {
        Operand::Text(text) => Some(text),
        _ => None,
    }
}

/// A value as what a datatype makes of it.
fn made(
    node: Node<'_>,
    value: Option<&Value>,
    datatype: Datatype,
    notes: &mut Notes,
) -> Option<Operand> {
    let operand = match (datatype, value) {
        (_, None | Some(Value::Null | Value::Array(_) | Value::Object(_))) => None,
        (Datatype::Bool, value) => Some(Operand::Bool(is_true(value))),
        (Datatype::Text, Some(value)) => spelled(value).map(|text| Operand::Text(text.into())),
        (Datatype::Int, Some(Value::String(text))) => text.parse().ok().map(Operand::Int),
        (Datatype::Int, Some(value)) => {
            value.as_i64().or_else(|| value.as_f64().map(truncated)).map(Operand::Int)
        }
        (Datatype::Float, Some(Value::String(text))) => text.parse().ok().map(Operand::Float),
        (Datatype::Float, Some(value)) => value.as_f64().map(Operand::Float),
    };
    if operand.is_none() {
        notes.refuse(node, "Value", "allowed: a value of the type that 'Datatype' says");
    }
    operand
}

/// A value of the type that it has.
fn untyped(node: Node<'_>, notes: &mut Notes) -> Option<Operand> {
    Some(match node.map.get("Value") {
        None | Some(Value::Null) => Operand::Nil,
        Some(Value::Bool(value)) => Operand::Bool(*value),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(number) => Operand::Int(number),
            None => Operand::Float(number.as_f64()?),
        },
        Some(Value::String(text)) => Operand::Text(text.clone().into()),
        Some(Value::Array(_) | Value::Object(_)) => {
            notes.refuse(
                node,
                "Value",
                "allowed with this operator: a text, a number, true, false",
            );
            return None;
        }
    })
}

fn spelled(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        // 2.0 is 2 where values are texts.
        Value::Number(number) => Some(match number.as_i64() {
            Some(number) => number.to_string(),
            None => number.as_f64()?.to_string(),
        }),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value
        .and_then(spelled)
        .is_some_and(|text| ["1", "t", "T", "true", "True", "TRUE"].contains(&text.as_str()))
}
