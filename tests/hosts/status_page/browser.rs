//! The page in a real browser.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use tokio::task::block_in_place;

use super::{HOSTILE, HOSTILES, SECRET, USUAL, Watched, row, send, status, until, watch};
use crate::hosts::newest;
use crate::support::{linked, seconds, timeout, together};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Chromium, if it is installed.
fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut files = NAMES.iter().flat_map(|name| folders.iter().map(move |one| one.join(name)));
    files.find(|file| file.is_file())
}

/// The document that the browser made of the page, as it is after a few seconds of its own time.
fn document(browser: &std::path::Path, page: u16) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = timeout()
        .arg(seconds(60))
        .arg(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--virtual-time-budget=6000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://127.0.0.1:{page}/"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("</html>"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (name, character)| text.replace(name, character))
}

/// The texts of the cells that say which number they have, by that.
fn cells(document: &str) -> BTreeMap<String, String> {
    let parts = document.split("data-key=\"").skip(1);
    let cell = |part: &str| {
        let (key, rest) = part.split_once('"').unwrap();
        let text = rest.split_once('>').unwrap().1.split("</td>").next().unwrap();
        (unescaped(key), unescaped(text))
    };
    parts.map(cell).collect()
}

fn number(cells: &BTreeMap<String, String>, key: &str) -> u64 {
    let text = cells.get(key).unwrap_or_else(|| panic!("no {key} in {cells:#?}"));
    text.replace(',', "").parse().unwrap_or_else(|error| panic!("{key}: {text}: {error}"))
}

/// The value of a counter in the status, over all its series with this first label.
fn counted(status: &Value, instance: &str, name: &str, label: &str) -> u64 {
    let instances = status["instances"].as_array().unwrap();
    let instance = instances.iter().find(|one| one["name"] == instance).unwrap();
    let counters = instance["counters"].as_array().unwrap();
    let family = counters.iter().find(|family| family["name"] == name).unwrap();
    let series = family["series"].as_array().unwrap().iter();
    let of_label = series.filter(|series| label.is_empty() || series[0][0] == label);
    of_label.map(|series| series[1].as_u64().unwrap()).sum()
}

/// Scenario: a browser opens the page while spans of models with hostile names come in, and again when they have come.
/// Guarantees: what it shows under load lies between what the counters said before and after it, and afterwards it shows
/// exactly the counters; the names are text, and no element came of them; the content is nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_browser_shows_the_counters() {
    let Some(browser) = browser() else {
        println!("browser tests were skipped: no Chromium found");
        return;
    };
    let _together = together();
    let plugins = linked();
    let host = newest();
    let watched = watch(&host, plugins.path()).await;
    let Watched { http, page, .. } = &watched;
    let (http, page) = (*http, *page);
    let key = "ai_otlp.0/received_items_total/traces";
    let received = |status: &Value| counted(status, "ai_otlp.0", "received_items_total", "traces");

    send(http, 2).await;
    let before = status(page);
    let load = tokio::spawn(async move {
        for _ in 0..150 {
            send(http, 1).await;
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
    });
    let shown = block_in_place(|| document(&browser, page));
    let after = status(page);
    let under_load = number(&cells(&shown), key);
    assert!(
        (received(&before)..=received(&after)).contains(&under_load),
        "{} {under_load} {}",
        received(&before),
        received(&after)
    );
    load.await.unwrap();
    let sent = 152 * (USUAL + HOSTILES);
    let now = until(page, &host.title(), |now| {
        row(now, "endpoints", "endpoint", "one")["waiting"] == 0 && received(now) == sent
    })
    .await;
    let shown = block_in_place(|| document(&browser, page));
    let cells = cells(&shown);
    for signal in ["traces", "metrics", "logs"] {
        for name in ["received", "accepted", "rejected", "refused"] {
            let name = format!("{name}_items_total");
            let shown = number(&cells, &format!("ai_otlp.0/{name}/{signal}"));
            assert_eq!(shown, counted(&now, "ai_otlp.0", &name, signal), "{name} {signal}");
        }
    }
    assert_eq!(number(&cells, "ai_metrics.1/measured_spans_total"), sent);
    assert_eq!(counted(&now, "ai_metrics.1", "measured_spans_total", ""), sent);
    for (provider, model, requests) in
        [("openai", "gpt-4o", 152 * USUAL), (HOSTILE, HOSTILE, 152 * HOSTILES)]
    {
        let of = |what: &str| number(&cells, &format!("ai_metrics.1/{provider}/{model}/{what}"));
        let known = row(&now, "models", "model", model);
        for what in ["requests", "errors", "input_tokens", "output_tokens"] {
            assert_eq!(Some(of(what)), known[what].as_u64(), "{model} {what}");
        }
        assert_eq!(of("requests"), requests);
        assert_eq!(cells[&format!("ai_metrics.1/{provider}/{model}/model")], model);
    }
    assert_eq!(cells["multi_otlp.0/one/state"], "up");
    assert!(number(&cells, "multi_otlp.0/one/sent") >= sent);
    assert!(cells["multi_otlp.0/away/state"].starts_with("failing since "));
    assert!(number(&cells, "multi_otlp.0/away/waiting") >= sent);

    let elements = ["<img", "<iframe", "<svg", "<style", "onerror=alert(1)>"];
    assert!(elements.iter().all(|element| !shown.contains(element)), "{shown}");
    assert_eq!(shown.matches("<script").count(), 1, "{shown}");
    assert!(shown.contains("&lt;img src=x onerror=alert(1)&gt;"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
    println!("{}: {} cells in {}", host.title(), cells.len(), browser.display());
}
