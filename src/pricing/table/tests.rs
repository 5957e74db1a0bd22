use std::collections::BTreeSet;

use super::*;
use crate::pricing::UsedTokens;

fn table(lines: &str) -> PriceTable {
    PriceTable::read(&format!("provider,model,tier,above,input,output\n{lines}")).unwrap()
}

/// What a million input tokens cost, in US dollars.
fn million(table: &PriceTable, provider: &str, models: &[&str]) -> Option<f64> {
    let used = UsedTokens { input: 1_000_000, ..UsedTokens::default() };
    let picodollars = table.find(provider, models)?.cost("", &used)?;
    Some(crate::pricing::to_usd(i128::from(picodollars)))
}

#[test]
fn a_model_is_found_by_its_name_without_a_date_or_by_a_rule() {
    let table = table(
        "openai azure.ai.openai,gpt-4o gpt-4o-latest,,,2.5,10\n\
         openai,gpt-4o-2024-05-13,,,5,15\n\
         openai,ft:gpt-4o*,,,3.75,15\n\
         openai,ft:gpt-4o-mini*,,,0.3,1.2\n\
         anthropic,claude-x,,,3,15\n\
         *,llama*,,,0,0\n",
    );
    for (provider, model, price) in [
        ("openai", "gpt-4o", Some(2.5)),
        ("OpenAI", "GPT-4o", Some(2.5)),
        ("azure.ai.openai", "gpt-4o-latest", Some(2.5)),
        ("openai", "gpt-4o-2024-08-06", Some(2.5)),
        ("openai", "gpt-4o-2024-05-13", Some(5.0)),
        ("openai", "models/gpt-4o", Some(2.5)),
        ("anthropic", "claude-x-20250929", Some(3.0)),
        ("anthropic", "claude-x@20250929", Some(3.0)),
        ("openai", "ft:gpt-4o-2024-08-06:acme::1", Some(3.75)),
        ("openai", "ft:gpt-4o-mini:acme::1", Some(0.3)),
        ("ollama", "llama3.2:1b", Some(0.0)),
        // Neither another provider's, nor one that is only like it.
        ("anthropic", "gpt-4o", None),
        ("", "gpt-4o", None),
        ("openai", "gpt-4o-mini", None),
        ("openai", "gpt-4", None),
        ("openai", "gpt-4o-0613", None),
        ("openai", "gpt-4o-2024-8-6", None),
        ("openai", "-2024-08-06", None),
        ("openai", "", None),
        ("openai", "ﬁ2024-08-06", None),
    ] {
        assert_eq!(million(&table, provider, &[model]), price, "{provider} {model}");
    }
    let long = format!("llama{}", "x".repeat(300));
    assert_eq!(million(&table, "ollama", &[&long]), None);
    // The first that is known counts.
    assert_eq!(million(&table, "openai", &["unknown", "gpt-4o"]), Some(2.5));
    assert_eq!(table.count(), 9);
}

#[test]
fn own_prices_come_first_and_wholly() {
    let list = table("openai,gpt-4o,,,2.5,10\nopenai,gpt-4o,batch,,1.25,5\nopenai,o1,,,15,60\n");
    let own = table("openai,gpt-4o,,,2,8\nopenai,ours,,,1,1\n");
    let both = list.with_own(own);
    for (models, price) in [
        (&["gpt-4o"][..], 2.0),
        (&["gpt-4o-2024-08-06"], 2.0),
        (&["o1"], 15.0),
        // What the user says of a deployment holds before what a list says of its model.
        (&["o1", "ours"], 1.0),
    ] {
        assert_eq!(million(&both, "openai", models), Some(price), "{models:?}");
    }
    let price = both.find("openai", &["gpt-4o"]).unwrap();
    assert_eq!(price.cost("batch", &UsedTokens::default()), None);
}

#[test]
fn a_price_that_is_there_twice_is_a_mistake() {
    let text = "provider,model,tier,above,input,output\n\
                openai,a b,,,1,1\n\
                openai,b,batch,,1,1\n\
                # why not\n\
                openai,B,Batch,,1,1\n\
                openai,b,batch,100,1,1\n\
                openai anthropic,a,,0,1,1\n";
    let problems = PriceTable::read(text).unwrap_err();
    assert_eq!(
        problems,
        [
            "line 5: openai B: this price is there already, in line 3",
            "line 7: openai a: this price is there already, in line 2",
        ]
    );
}

/// Scenario: the list that is shipped. Guarantees: it can be read, each line has a day and a source that the
/// head of the list explains, and no tier is without a price for short prompts.
#[test]
fn the_shipped_list_says_where_each_price_is_from() {
    let text = include_str!("../prices.csv");
    let table = PriceTable::read(text).unwrap();
    assert!(table.count() > 300, "{}", table.count());
    assert_eq!(PriceTable::shipped(), table);
    let explained: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(": https://"))
        .map(|(source, _)| source)
        .collect();
    for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let (date, source) = (cells[9], cells[10]);
        assert!(explained.contains(source), "{line}");
        let day: Vec<usize> = date.split('-').map(|part| part.parse().unwrap()).collect();
        assert!(day.len() == 3 && (2026..2100).contains(&day[0]), "{line}");
    }
    for price in table.lists[0].models.values() {
        for rates in &price.rates {
            let is_base = |base: &TierRates| base.tier == rates.tier && base.above == 0;
            assert!(price.rates.iter().any(is_base), "line {}", rates.line);
            assert!(rates.rates.input > 0 && rates.rates.cache_read <= rates.rates.input);
        }
    }
}

#[test]
fn the_list_in_the_guide_can_be_read() {
    let guide = include_str!("../../../docs/ai_metrics.md");
    let (_, rest) = guide.split_once("```csv\n").unwrap();
    let table = PriceTable::read(rest.split("```").next().unwrap()).unwrap();
    assert_eq!(million(&table, "groq", &["llama-3"]), Some(0.0));
    assert_eq!(million(&table, "gcp.gemini", &["gemini-2.5-pro"]), Some(2.3));
    let count = PriceTable::shipped().count();
    assert!(guide.contains(&format!("{count} names of models of 12 providers")), "{count}");
}

/// Prices that the issuers' pages state, in US dollars per million tokens.
#[test]
fn shipped_prices_are_those_of_the_issuers() {
    let table = PriceTable::shipped();
    let cost = |provider: &str, model: &str, tier: &str, used: UsedTokens| {
        let picodollars = table.find(provider, &[model])?.cost(tier, &used)?;
        Some(crate::pricing::to_usd(i128::from(picodollars)))
    };
    let input = UsedTokens { input: 100_000, ..UsedTokens::default() };
    let read = UsedTokens { cache_read: 100_000, ..input };
    let write = UsedTokens { cache_write: 100_000, ..input };
    let hour = UsedTokens { cache_write_1h: 100_000, ..input };
    let output = UsedTokens { output: 100_000, ..UsedTokens::default() };
    for (used, price) in [(input, 0.5), (write, 0.625), (hour, 1.0), (read, 0.05), (output, 2.5)] {
        assert_eq!(
            cost("anthropic", "claude-opus-4-5-20251101", "", used),
            Some(price),
            "{used:?}"
        );
        let batch = cost("anthropic", "claude-opus-4-5", "batch", used);
        assert_eq!(batch, Some(price / 2.0), "{used:?}");
    }
    for (used, price) in [(input, 0.25), (read, 0.125), (output, 1.0)] {
        assert_eq!(cost("openai", "gpt-4o-2024-08-06", "default", used), Some(price), "{used:?}");
    }
    let long = UsedTokens { input: 300_000, ..input };
    assert_eq!(cost("gcp.gemini", "gemini-2.5-pro", "", input), Some(0.125));
    assert_eq!(cost("gcp.gemini", "models/gemini-2.5-pro", "", long), Some(0.75));
    // A regional endpoint of Bedrock costs a tenth more than the global one.
    let bedrock = |region: &str| {
        let model = format!("{region}.anthropic.claude-haiku-4-5-20251001-v1:0");
        cost("aws.bedrock", &model, "", input)
    };
    assert_eq!((bedrock("global"), bedrock("eu")), (Some(0.1), Some(0.11)));
    assert_eq!(cost("openai", "gpt-nobody-knows", "", input), None);
}
