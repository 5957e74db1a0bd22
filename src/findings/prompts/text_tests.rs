//! Prompt text: what is read at once is what was read one character after the other.

use super::text::PromptText;
use super::text_slow;
use crate::codec::msgpack::{array_header, map_header, str, str_bytes, uint};
use crate::findings::tests::Drawn;

const SEED: u64 = 7;

/// The hash, the frame and the sketch of a prompt, if it has messages.
type Read = Option<(u64, u64, Option<u64>)>;

fn read(text: &mut PromptText, messages: &[u8], instructions: &[u8]) -> Read {
    text.read(messages, instructions)
        .then(|| (text.hash(SEED), text.frame(SEED), text.sketch(SEED)))
}

fn encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    str(&mut out, text);
    out
}

/// Guarantees: hashes, frames and sketches are those of earlier versions.
#[test]
fn prompts_are_known_by_the_same_numbers() {
    let table = [
        (
            "Plain words,  AND more of them\tthan there have to be for a sketch.",
            "Be brief.",
            (0x0385_4f10_1280_c4ea, 0xd366_c169_20d3_81d0, Some(0xaaaa_a955_6955_6a5a)),
        ),
        (
            r#"[{"role":"user","parts":[{"type":"text","content":"Where is order 4711? I bought it on May 2nd, and it is not here yet."}]}]"#,
            "",
            (0x941b_81ab_1d50_a13c, 0xe8b4_b3b1_c77c_4573, Some(0x557a_aaaa_2aaa_aaad)),
        ),
        (
            r#"[{"role":"system","content":"You are a clerk."},{"content":"Say \"yes\"\nor no,\\ please: what of \u00c4pfel \ud83d\ude00 and \ud800?","role":"user","id":"x1"}]"#,
            "Answer in German.",
            (0x123a_a6bd_7d96_52fb, 0x6c95_aef0_aace_feb4, Some(0x56aa_d555_56aa_b555)),
        ),
        (
            r#" { "messages" : [ { "role" : "developer", "content" : [ 12.50, true, null, "A" ] }, {"role":"tool","tool_call_id":"c","content":"今日は ÉCOLE Straße İstanbul 12 34"} ] } tail"#,
            r#"[{"type":"text","content":"Keep to the RULES, all 12 of them."}]"#,
            (0x30a9_099a_0b5e_6c66, 0x9e48_c7d2_1e49_324c, Some(0xab55_aaad_56aa_94b2)),
        ),
        (
            r#"[{"role":"user","content":"an end that \u12 never comes, \u+12a nor \"#,
            "\u{a0}{\"a\":tru\"e\"\u{3000}:1",
            (0x1587_58a0_5b5b_aa0e, 0xaa54_55e5_4b25_1ffc, Some(0x5555_5555_2ab5_2aab)),
        ),
        (
            r#"["key"  :"a"x"b","role":"assistant"]}}]{"c":[[["d"]]]}"#,
            "",
            (0x96df_8189_8f75_45ee, 0xe8b4_b3b1_c77c_4573, None),
        ),
    ];
    let mut text = PromptText::default();
    for (messages, instructions, known) in table {
        let instructions = if instructions.is_empty() { Vec::new() } else { encoded(instructions) };
        let found = read(&mut text, &encoded(messages), &instructions);
        assert_eq!(found, Some(known), "{messages}");
    }
}

/// What texts are drawn from.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\"",
    "\"",
    ":",
    ",",
    "\\",
    "\\\\",
    "\\\"",
    "\\n",
    "\\t",
    "\\/",
    "\\u00e9",
    "\\u00C9",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\u+12a",
    "\\u12",
    "\\u00a0",
    "\\u3000",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\x0b",
    "\x0c",
    "\u{85}",
    "\u{a0}",
    "\u{3000}",
    "\x1c",
    "\0",
    "role",
    "system",
    "developer",
    "user",
    "ROLE",
    "type",
    "id",
    "finish_reason",
    "mime_type",
    "content",
    "parts",
    "İ",
    "ß",
    "ÉCOLE",
    "日本語",
    "😀",
    "true",
    "null",
    "-12.5e3",
    "12345",
    "a",
    "B",
    "Zebra Crossing",
    "the quick brown fox jumps over the lazy dog and SO ON ",
    "x  y",
    " two spaces  in a longer text",
    "{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"",
    "\"}]}",
    "[{\"role\":\"system\",\"content\":\"",
    "\",\"id\":\"x1\"",
    "\"role\" : \"",
    "\"\u{a0}:\"",
    "\"content\":",
    "ABCDEFGHIJKLMNOP",
    "abcdefg ",
    "        ",
    "\\abcdefghijklmnopq",
];
const BEGINS: [&str; 6] = [
    "",
    "",
    "[",
    " {",
    "[{\"role\":\"user\",\"content\":\"",
    "[{\"role\":\"user\",\"parts\":[{\"content\":\"",
];

fn below(drawn: &mut Drawn, most: usize) -> usize {
    drawn.uniform();
    usize::try_from(drawn.0 >> 32).unwrap() % most
}

fn drawn_text(drawn: &mut Drawn) -> String {
    let mut text = BEGINS[below(drawn, BEGINS.len())].to_owned();
    for _ in 0..below(drawn, 40) {
        text.push_str(PIECES[below(drawn, PIECES.len())]);
    }
    // More than is made comparable.
    let is_long = below(drawn, 300) == 0;
    if is_long { text.repeat(40_000 / (text.len() + 1)) } else { text }
}

fn drawn_value(drawn: &mut Drawn, depth: usize) -> Vec<u8> {
    let (mut out, members) = (Vec::new(), u32::try_from(below(drawn, 4)).unwrap());
    match below(drawn, 12) {
        0 if depth < 14 => {
            array_header(&mut out, members);
            (0..members).for_each(|_| out.extend(drawn_value(drawn, depth + 1)));
        }
        1 if depth < 14 => {
            map_header(&mut out, members);
            for _ in 0..members {
                str(&mut out, PIECES[below(drawn, PIECES.len())]);
                out.extend(drawn_value(drawn, depth + 1));
            }
        }
        2 => uint(&mut out, drawn.0),
        3 => {
            let mut bytes = drawn_text(drawn).into_bytes();
            bytes.push(0xc3);
            str_bytes(&mut out, &bytes);
        }
        4 if depth == 0 => {}
        _ => str(&mut out, &drawn_text(drawn)),
    }
    out
}

/// Guarantees: any text, JSON or broken JSON, and any structured value is read as the slow way reads it that follows.
#[test]
fn texts_are_read_as_one_character_after_the_other() {
    let (mut drawn, mut text, mut prompts) = (Drawn(11), PromptText::default(), 0);
    for _ in 0..4000 {
        let (messages, instructions) = (drawn_value(&mut drawn, 0), drawn_value(&mut drawn, 0));
        let found = read(&mut text, &messages, &instructions);
        assert_eq!(
            found,
            text_slow::read(&messages, &instructions, SEED),
            "{messages:?} {instructions:?}"
        );
        prompts += usize::from(found.is_some());
    }
    assert!(prompts > 2000, "{prompts}");
}
