//! The configurations of `docs/recipes`, as they are, with the real backends.

use testkit::hosts::{Host, RunningHost};
use testkit::shipped::{Configuration, recipe};

/// A recipe's configuration on a host, with the backend at this port; and the port for telemetry.
pub fn start(
    page: &str,
    backend: u16,
    host: &Host,
    plugins: &std::path::Path,
) -> (RunningHost, u16) {
    let configuration = Configuration::new(page, &recipe(page)[0], &[]);
    let (configuration, port) = configuration.to(backend).here(plugins);
    let running = configuration.start(host, port, &[("PHOENIX_API_KEY", "none".to_owned())]);
    (running, port)
}
