//! States of endpoints as a status page shows them.

use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::{Bench, Fate, endpoint};
use crate::clock;
use crate::export::{EndpointState, GroupMode, GroupSettings, MemberSource};

fn states(bench: &Bench) -> Vec<EndpointState> {
    bench.exporter.watch().endpoints(clock::now())
}

/// Scenario: one endpoint accepts, one is away, one refuses for good, and the members of a group take turns; the
/// refusal quotes what was sent. Guarantees: each state says what was sent, dropped and waits, and since when the
/// absent one is away; what the endpoint quoted is in the log and in no kept line.
#[test]
fn states_are_those_of_the_counters_and_the_breaker() {
    let up = Receiver::accepting();
    let away = Receiver::start(|_, _| Say::Http(503, Vec::new(), b"busy with a prompt".to_vec()));
    let refusing =
        Receiver::start(|_, _| Say::Http(400, Vec::new(), b"bad value 'a prompt'".to_vec()));
    let members = [Receiver::accepting(), Receiver::accepting()];
    let listed = members.iter().enumerate();
    let listed = listed.map(|(number, member)| endpoint(&format!("m{number}"), member)).collect();
    let group = GroupSettings {
        name: "g".to_owned(),
        mode: GroupMode::RoundRobin,
        members: MemberSource::Listed(listed),
    };
    let endpoints = [("up", &up), ("away", &away), ("refusing", &refusing)];
    let bench =
        Bench::with_groups(endpoints.map(|(name, of)| endpoint(name, of)).into(), vec![group]);
    bench.environment.log.keep();
    assert!(states(&bench).iter().all(|state| state.away.is_none() && state.sent == 0));
    for task in 0..4 {
        let spans = (0..3).map(|number| span(number, vec![text("prompt", "a prompt")])).collect();
        assert_eq!(bench.deliver(task, &trace_chunk(&traces(spans))), Fate::Retry);
    }
    let states = states(&bench);
    let of = |name: &str| states.iter().find(|state| state.name == name).unwrap();
    let numbers = |name: &str| (of(name).sent, of(name).dropped, of(name).waiting);
    assert_eq!(numbers("up"), (12, 0, Some(0)));
    assert_eq!(numbers("away"), (0, 0, Some(12)));
    assert_eq!(numbers("refusing"), (0, 12, Some(0)));
    assert_eq!(of("m0").sent + of("m1").sent, 12);
    assert_eq!((of("m0").waiting, of("m1").waiting), (Some(0), None));
    assert_eq!(of("m1").group.as_deref(), Some("g"));
    let since = of("away").away.unwrap();
    assert!(since < test_timeout::at_most(Duration::from_secs(10)), "{since:?}");
    assert!(of("up").away.is_none() && of("refusing").away.is_none());
    assert!(of("up").latency.is_some() && of("away").latency.is_none());
    assert!(states.iter().all(|state| state.in_flight == 0));
    let watch = bench.exporter.watch();
    let kept = bench.environment.log.kept();
    assert!(
        kept.iter().any(|line| line.text.starts_with("endpoint 'refusing' refused a request to"))
    );
    assert!(kept.iter().all(|line| !line.text.contains("a prompt")), "{kept:?}");
    assert!(bench.log().contains("bad value 'a prompt'"));
    drop(bench);
    assert!(watch.endpoints(clock::now()).is_empty());
}
