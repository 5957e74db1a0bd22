//! Finds the names that an expression uses, and refuses those that are not defined.

use cel::Program;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, SourceInfo};

use super::variables::VARIABLES;

/// The functions of the standard library, beside operators and macros.
const FUNCTIONS: [&str; 13] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bytes",
    "bool",
    "type",
    "dyn",
];

/// The names of types, which `type(x) == int` compares with.
const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// Macros, which are calls only when they are written in a form that is none of theirs.
const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];

/// The variables that a program uses.
///
/// # Errors
/// Every unknown variable and function, with its location and what is known.
pub(super) fn names(program: &Program) -> Result<Vec<&str>, String> {
    let mut walk = Walk {
        source: program.source_info(),
        bound: Vec::new(),
        used: Vec::new(),
        problems: Vec::new(),
    };
    walk.expression(program.expression());
    if walk.problems.is_empty() { Ok(walk.used) } else { Err(walk.problems.join("; ")) }
}

/// Where the expression with this number stands.
pub(super) fn location(source: &SourceInfo, id: u64) -> String {
    let offset = source.offset_for(id).map_or(0, |(start, _)| start as usize);
    let before: String = source.source.chars().take(offset).collect();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    format!("line {line}, column {}", column.saturating_add(1))
}

/// The walk recurses as deep as the expression is nested, which the parser bounds (96).
struct Walk<'p> {
    source: &'p SourceInfo,
    bound: Vec<&'p str>,
    used: Vec<&'p str>,
    problems: Vec<String>,
}

impl<'p> Walk<'p> {
    fn location(&self, id: u64) -> String {
        location(self.source, id)
    }

    fn expression(&mut self, expression: &'p IdedExpr) {
        match &expression.expr {
            Expr::Ident(name) => self.variable(expression.id, name),
            Expr::Select(select) => self.expression(&select.operand),
            Expr::Call(call) => {
                self.function(expression.id, &call.func_name);
                call.target.iter().for_each(|target| self.expression(target));
                call.args.iter().for_each(|argument| self.expression(argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|item| self.expression(item)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(entry)),
            Expr::Struct(value) => {
                let location = self.location(expression.id);
                self.problems.push(format!("{location}: there is no type '{}'", value.type_name));
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &'p IdedEntryExpr) {
        match &entry.expr {
            EntryExpr::StructField(field) => self.expression(&field.value),
            EntryExpr::MapEntry(pair) => {
                self.expression(&pair.key);
                self.expression(&pair.value);
            }
        }
    }

    fn comprehension(&mut self, comprehension: &'p ComprehensionExpr) {
        self.expression(&comprehension.iter_range);
        self.expression(&comprehension.accu_init);
        let outer = self.bound.len();
        self.bound.push(&comprehension.iter_var);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.bound.push(&comprehension.accu_var);
        self.expression(&comprehension.loop_cond);
        self.expression(&comprehension.loop_step);
        self.expression(&comprehension.result);
        self.bound.truncate(outer);
    }

    fn variable(&mut self, id: u64, name: &'p str) {
        let plain = name.trim_start_matches('.');
        if self.bound.contains(&name) || TYPES.contains(&plain) {
            return;
        }
        if VARIABLES.contains(&plain) {
            self.used.push(plain);
            return;
        }
        let location = self.location(id);
        let known = VARIABLES.join(", ");
        self.problems.push(format!("{location}: unknown variable '{name}'; known: {known}"));
    }

    fn function(&mut self, id: u64, name: &str) {
        let operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if operator || FUNCTIONS.contains(&name) {
            return;
        }
        let location = self.location(id);
        let known = FUNCTIONS.iter().chain(&MACROS).copied().collect::<Vec<_>>().join(", ");
        self.problems
            .push(format!("{location}: no function '{name}' of this form; known: {known}"));
    }
}
