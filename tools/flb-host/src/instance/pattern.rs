//! The wildcard of `match`.

/// Fluent Bit's wildcard: a star stands for any bytes.
pub(crate) fn matches(pattern: &[u8], tag: &[u8]) -> bool {
    let (mut at, mut star) = (0, None);
    let mut index = 0;
    while index < tag.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, index));
                at += 1;
            }
            Some(byte) if Some(byte) == tag.get(index) => {
                at += 1;
                index += 1;
            }
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    index = *taken;
                    at = *after + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_as_in_fluent_bit() {
        for (pattern, tag, yes) in [
            ("*", "", true),
            ("ai*", "ai", true),
            ("ai.*.x", "ai.b.c.x", true),
            ("ai.*.x", "ai.b.c.y", false),
            ("*a*b", "xaab", true),
            ("ai", "aix", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), tag.as_bytes()), yes, "{pattern} {tag}");
        }
    }
}
