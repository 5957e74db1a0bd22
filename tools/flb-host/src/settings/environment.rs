//! `${NAME}` in values.

use crate::report;

/// The text with every `${NAME}` replaced by the variable's value; an unset one is empty, as in
/// Fluent Bit, and is logged.
pub(crate) fn expand(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            whole.push_str("${");
            rest = after;
            continue;
        };
        match std::env::var(name) {
            Ok(value) => whole.push_str(&value),
            Err(_) => report::line(
                report::WARN,
                &format!("[flb-host] environment variable '{name}' is not set"),
            ),
        }
        rest = tail;
    }
    whole.push_str(rest);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_stays() {
        assert_eq!(expand("a$b ${c"), "a$b ${c");
        assert_eq!(expand("x${FLB_HOST_NOT_SET_ANYWHERE}y"), "xy");
    }
}
