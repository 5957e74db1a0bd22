//! Checks of pairs on calls that are made up: which differences are found, when, and which are not.

use super::tests::{DAY, Drawn, SECOND, attribute, call, config, events, found, resource, text};
use super::*;

/// What the shadow is like.
#[derive(Clone, Copy)]
struct Shadow {
    /// How many times as long it takes, and how many times as much it says.
    slower: f64,
    longer: f64,
    /// Which part of it fails, and is cut.
    failing: f64,
    cut: f64,
}

const EQUAL: Shadow = Shadow { slower: 1.0, longer: 1.0, failing: 0.02, cut: 0.03 };
const GAP: u64 = 5 * SECOND;

fn finder() -> Findings {
    let pair =
        |primary: &str, shadow: &str| ModelPair { primary: primary.into(), shadow: shadow.into() };
    let mut config = config(Check::Pairs, CheckMode::On);
    config.pairs = vec![pair("blue", "green"), pair("other", "unused")];
    let mut findings = Findings::new(config, 0);
    findings.set_tag(b"ai");
    findings
}

/// Feeds requests from a number on, each of which both answer, or one of ten of which the shadow answers alone.
fn feed(
    findings: &mut Findings,
    drawn: &mut Drawn,
    (from, requests): (u64, u64),
    is_canary: bool,
    shadow: Shadow,
) {
    let resource = resource("shop");
    let origin = CallOrigin::new(Some(&resource), None);
    let reasons = ["length", "stop"].map(text);
    for number in from..from + requests {
        let unix_nanos = 100 * DAY + number * GAP;
        let day = (unix_nanos as f64 / DAY as f64 * std::f64::consts::TAU).sin();
        let request = 0.28 * day + 0.5 * drawn.normal();
        let of_shadow = is_canary && drawn.uniform() < 0.1;
        for is_shadow in [false, true] {
            if is_canary && is_shadow != of_shadow {
                continue;
            }
            let like = if is_shadow { shadow } else { EQUAL };
            let model = text(if is_shadow { "green" } else { "blue" });
            let duration = (request + 0.3 * drawn.normal()).exp() * like.slower;
            let output = (5.0 + request + 0.4 * drawn.normal()).exp() * like.longer;
            let reason = usize::from(drawn.uniform() >= like.cut);
            let tokens = UsedTokens {
                input: Some((6.0 + request).exp().round()),
                output: Some(output.round()),
                ..UsedTokens::default()
            };
            findings.call(&ObservedCall {
                unix_nanos,
                request_model: &model,
                response_model: &[],
                seconds: Some(duration),
                first_chunk: Some(duration * 0.3),
                tokens,
                finish_reasons: &reasons[reason],
                has_failed: drawn.uniform() < like.failing,
                ..call(&origin, number)
            });
        }
    }
}

/// Guarantees: two models that are alike, with the same requests or with others, make no finding in a week.
#[test]
fn equal_models_make_no_finding() {
    for (seed, is_canary) in [(1, false), (2, false), (3, true), (4, true)] {
        let mut findings = finder();
        feed(&mut findings, &mut Drawn(seed), (0, 7 * DAY / GAP), is_canary, EQUAL);
        assert_eq!(found(&mut findings), [""; 0], "{seed}");
    }
}

/// Guarantees: what a shadow does worse is found within a number of requests, with a factor or a difference between its
/// bounds and the one that is worse, and told once; with a canary that gets a tenth of the requests too.
#[test]
fn differences_are_found_with_their_bounds() {
    let cases = [
        (Shadow { slower: 1.5, ..EQUAL }, 400, "duration", 1.5),
        (Shadow { slower: 0.6, ..EQUAL }, 400, "duration", 0.6),
        (Shadow { longer: 1.6, ..EQUAL }, 500, "output_tokens", 1.6),
        (Shadow { failing: 0.2, ..EQUAL }, 600, "error_share", 0.18),
        (Shadow { cut: 0.25, ..EQUAL }, 600, "cut_share", 0.22),
    ];
    for (shadow, within, signal, truth) in cases {
        for is_canary in [false, true] {
            let (mut missed, requests) = (0, if is_canary { within * 10 } else { within });
            for seed in 1..=10 {
                let (mut findings, mut drawn) = (finder(), Drawn(seed));
                feed(&mut findings, &mut drawn, (0, requests), is_canary, shadow);
                let told = events(&mut findings);
                let of = |log, key: &str| attribute(log, &format!("fluentbit.ai.finding.{key}"));
                let Some((service, log)) = told.iter().find(|(_, log)| of(log, "signal") == signal)
                else {
                    missed += 1;
                    continue;
                };
                assert_eq!([service.as_str(), &of(log, "type")], ["shop", "pair_difference"]);
                assert_eq!(of(log, "primary") + &of(log, "shadow"), "bluegreen");
                let is_share = signal.ends_with("share");
                let key = if is_share { "difference" } else { "ratio" };
                let number = |key: String| of(log, &key).parse::<f64>().unwrap();
                let [low, high] = ["low", "high"].map(|end| number(format!("{key}_{end}")));
                let mean = number(key.to_owned());
                assert!(low < mean && mean < high, "{low} {mean} {high}");
                assert!((low..high).contains(&truth), "{signal}: {low} {high}");
                let worse = match signal {
                    "output_tokens" => "",
                    _ if truth < 1.0 && !is_share => "blue",
                    _ => "green",
                };
                assert_eq!(of(log, "worse"), worse, "{signal}");
                let count =
                    |told: &[String]| told.iter().filter(|one| one.contains(signal)).count();
                feed(&mut findings, &mut drawn, (requests, 4 * requests), is_canary, shadow);
                assert_eq!(count(&found(&mut findings)), 0, "{signal} is told once");
            }
            assert!(missed <= 1, "{signal}: {missed} of 10");
        }
    }
}

/// Guarantees: models of no pair, and one without the other, are not compared, and the pairs of a hundred thousand services
/// are bounded.
#[test]
fn what_is_compared_is_bounded() {
    let mut findings = finder();
    let (blue, red) = (text("blue"), text("red"));
    for number in 0..100_000_u64 {
        let resource = resource(&number.to_string());
        let origin = CallOrigin::new(Some(&resource), None);
        let model = if number % 2 == 0 { &blue } else { &red };
        findings.call(&ObservedCall { request_model: model, ..call(&origin, 1) });
    }
    assert_eq!(found(&mut findings), [""; 0]);
    assert_eq!(findings.tally().unwatched, 50_000 - 1000);
}
