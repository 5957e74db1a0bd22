//! What can be said of an expression's type before any item is there: enough to refuse a condition
//! that can never be true or false.
//!
//! The rules are those of the CEL specification, sections "Macros" and "Logical Operators" and its
//! list of standard definitions; what depends on an item has no type here.

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

use super::check::location;

/// A type, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExprType {
    /// It depends on the item.
    Unknown,
    /// True or false.
    Bool,
    /// Something else, of this name.
    Other(&'static str),
}

/// Types of the variables. What is missing here may have any.
const VARIABLES: [(&str, &str); 17] = [
    ("signal", "string"),
    ("name", "string"),
    ("kind", "string"),
    ("status", "string"),
    ("duration_ms", "double"),
    ("attributes", "map"),
    ("resource", "map"),
    ("scope", "map"),
    ("severity", "int"),
    ("tag", "string"),
    ("events", "list"),
    ("links", "list"),
    ("trace_state", "string"),
    ("flags", "int"),
    ("spans", "list"),
    ("errors", "int"),
    ("root", "map"),
];

/// Names of types, which are values of the type `type`.
const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// Refuses a program that cannot give true or false, or that asks for the truth of something that
/// has none.
///
/// # Errors
/// Every such location, with the type that is there.
pub(super) fn boolean(program: &Program) -> Result<(), String> {
    let mut walk =
        Walk { source: program.source_info(), accumulators: Vec::new(), problems: Vec::new() };
    walk.expect_bool(program.expression(), "the condition");
    walk.expression(program.expression());
    walk.problems.dedup();
    if walk.problems.is_empty() { Ok(()) } else { Err(walk.problems.join("; ")) }
}

/// The walk recurses as deep as the expression is nested, which [`super::MAX_NESTING`] bounds.
struct Walk<'p> {
    source: &'p SourceInfo,
    /// The variables that macros bind, innermost last; those that collect have a type.
    accumulators: Vec<(&'p str, ExprType)>,
    problems: Vec<String>,
}

impl<'p> Walk<'p> {
    /// Notes it if an expression whose truth is asked for is known to have none.
    fn expect_bool(&mut self, expression: &'p IdedExpr, who: &str) {
        if let Expr::Call(call) = &expression.expr
            && call.func_name == "_?_:_"
        {
            call.args.iter().skip(1).for_each(|branch| self.expect_bool(branch, who));
            return;
        }
        if let ExprType::Other(name) = self.kind(expression) {
            let location = location(self.source, expression.id);
            let problem =
                format!("{location}: {who} gives a value of type {name}, not true or false");
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// Looks for places inside where a truth is asked for.
    fn expression(&mut self, expression: &'p IdedExpr) {
        match &expression.expr {
            Expr::Select(select) => self.expression(&select.operand),
            Expr::Call(call) => {
                match call.func_name.as_str() {
                    "_&&_" => {
                        call.args.iter().for_each(|side| self.expect_bool(side, "a side of &&"))
                    }
                    "_||_" => {
                        call.args.iter().for_each(|side| self.expect_bool(side, "a side of ||"))
                    }
                    "!_" => {
                        call.args.iter().for_each(|side| self.expect_bool(side, "what ! negates"))
                    }
                    "_?_:_" => {
                        call.args
                            .iter()
                            .take(1)
                            .for_each(|test| self.expect_bool(test, "what stands before ?"));
                    }
                    _ => {}
                }
                call.target.iter().for_each(|target| self.expression(target));
                call.args.iter().for_each(|argument| self.expression(argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|item| self.expression(item)),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            // What stands in a map or a structure has no part in the truth of the whole.
            Expr::Map(_)
            | Expr::Struct(_)
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Unspecified => {}
        }
    }

    fn comprehension(&mut self, macro_: &'p ComprehensionExpr) {
        self.expression(&macro_.iter_range);
        let outer = self.bind(macro_);
        self.step(macro_);
        self.expression(&macro_.result);
        self.accumulators.truncate(outer);
    }

    /// What a macro does with each element: it joins the test to what it has, or asks it.
    fn step(&mut self, macro_: &'p ComprehensionExpr) {
        let Expr::Call(call) = &macro_.loop_step.expr else {
            return self.expression(&macro_.loop_step);
        };
        let test = match call.func_name.as_str() {
            "_&&_" | "_||_" => call.args.get(1),
            "_?_:_" => call.args.first(),
            _ => None,
        };
        test.into_iter().for_each(|test| self.expect_bool(test, "the test of this macro"));
        call.args.iter().for_each(|argument| self.expression(argument));
    }

    /// Makes the variables of a macro known; gives how many were known before.
    fn bind(&mut self, macro_: &'p ComprehensionExpr) -> usize {
        let outer = self.accumulators.len();
        let start = self.kind(&macro_.accu_init);
        self.accumulators.push((&macro_.iter_var, ExprType::Unknown));
        self.accumulators.extend(macro_.iter_var2.iter().map(|name| (&**name, ExprType::Unknown)));
        self.accumulators.push((&macro_.accu_var, start));
        outer
    }

    fn kind(&mut self, expression: &'p IdedExpr) -> ExprType {
        match &expression.expr {
            Expr::Literal(literal) => literal_kind(literal),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) if select.test => ExprType::Bool,
            Expr::List(_) => ExprType::Other("list"),
            Expr::Map(_) => ExprType::Other("map"),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(macro_) => {
                let outer = self.bind(macro_);
                let kind = self.kind(&macro_.result);
                self.accumulators.truncate(outer);
                kind
            }
            Expr::Select(_) | Expr::Struct(_) | Expr::Unspecified => ExprType::Unknown,
        }
    }

    fn variable(&self, name: &str) -> ExprType {
        if let Some((_, kind)) = self.accumulators.iter().rev().find(|(bound, _)| *bound == name) {
            return *kind;
        }
        let plain = name.trim_start_matches('.');
        let known = VARIABLES.iter().find(|(variable, _)| *variable == plain);
        match known {
            Some((_, kind)) => ExprType::Other(kind),
            None if TYPES.contains(&plain) => ExprType::Other("type"),
            None => ExprType::Unknown,
        }
    }

    fn call(&mut self, call: &'p CallExpr) -> ExprType {
        match call.func_name.as_str() {
            "_&&_"
            | "_||_"
            | "!_"
            | "_==_"
            | "_!=_"
            | "_<_"
            | "_<=_"
            | "_>_"
            | "_>=_"
            | "@in"
            | "@not_strictly_false"
            | "contains"
            | "startsWith"
            | "endsWith"
            | "matches"
            | "bool" => ExprType::Bool,
            "size" | "int" => ExprType::Other("int"),
            "uint" => ExprType::Other("uint"),
            "double" => ExprType::Other("double"),
            "string" => ExprType::Other("string"),
            "bytes" => ExprType::Other("bytes"),
            "type" => ExprType::Other("type"),
            // The sum of two values is of their type; nothing adds up to a truth value.
            "_+_" => self.sum(&call.args),
            "_-_" | "_*_" | "_/_" | "_%_" | "-_" => ExprType::Other("number"),
            "_?_:_" => self.same(call.args.get(1), call.args.get(2)),
            "dyn" => call.args.first().map_or(ExprType::Unknown, |argument| self.kind(argument)),
            _ => ExprType::Unknown,
        }
    }

    fn sum(&mut self, sides: &'p [IdedExpr]) -> ExprType {
        for side in sides {
            if let kind @ ExprType::Other(_) = self.kind(side) {
                return kind;
            }
        }
        ExprType::Other("number or text")
    }

    fn same(&mut self, first: Option<&'p IdedExpr>, second: Option<&'p IdedExpr>) -> ExprType {
        let (Some(first), Some(second)) = (first, second) else { return ExprType::Unknown };
        match (self.kind(first), self.kind(second)) {
            (first, second) if first == second => first,
            (ExprType::Other(_), ExprType::Other(_)) => ExprType::Other("number or text"),
            _ => ExprType::Unknown,
        }
    }
}

const fn literal_kind(literal: &LiteralValue) -> ExprType {
    match literal {
        LiteralValue::Boolean(_) => ExprType::Bool,
        LiteralValue::Bytes(_) => ExprType::Other("bytes"),
        LiteralValue::Double(_) => ExprType::Other("double"),
        LiteralValue::Int(_) => ExprType::Other("int"),
        LiteralValue::Null => ExprType::Other("null"),
        LiteralValue::String(_) => ExprType::Other("string"),
        LiteralValue::UInt(_) => ExprType::Other("uint"),
    }
}
