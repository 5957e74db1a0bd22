//! Status page of an input: its options, and the page while the input runs.

use std::sync::Arc;

use crate::clock;
use crate::config::read::Read;
use crate::config::{Parser, options};
use crate::plugin::{Environment, OpenError, OptionSpec, Pause};
use crate::receive::{ListenAddresses, PageAddress, PageServer};
use crate::status::{Health, StatusPage};

options! {
    /// What is configured.
    struct Given in pub(super) OPTIONS {
        port: Option<u16> = port,
            Str "status_port" = "off",
            "Port for a page that shows what our plugins of this Fluent Bit do, for /status.json, for /metrics, \
             which Prometheus scrapes, for /verdict/CONVERSATION, and for the probes /healthz and /readyz; or 'off'.";
        listen: String = listen,
            Str "status_listen" = "127.0.0.1",
            "Address that the status page listens on. It has no login: whoever reaches another address than a \
             loopback one reads it.";
    }
}

fn port(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<u16>> {
    let allowed = "allowed: a port from 0 to 65535 (0 lets the system choose), off";
    parser.value(option, allowed, |text| {
        if text.eq_ignore_ascii_case("off") { Some(None) } else { text.parse().ok().map(Some) }
    })
}

fn listen(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<String> {
    parser.value(option, "allowed: an address or a name of this machine", |text| {
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    })
}

/// Where the page is to be, if there is to be one.
pub(super) fn read(parser: &mut Parser<'_>) -> Result<Option<PageAddress>, OpenError> {
    let Given { port, listen } = Given::read(parser)?;
    if port.is_none() && parser.text("status_listen").is_some() {
        parser.refuse("status_listen", &listen, "it needs 'status_port'");
    }
    Ok(port.map(|port| PageAddress { listen, port }))
}

/// Says what [`RunningPage::open`] would refuse, and listens on nothing.
pub(super) fn check(
    address: Option<&PageAddress>,
    taken: &mut ListenAddresses,
) -> Result<(), OpenError> {
    address.map_or(Ok(()), |address| address.check(taken))
}

/// The page of a running input.
#[derive(Debug)]
pub(super) struct RunningPage {
    health: Arc<Health>,
    _server: PageServer,
}

impl RunningPage {
    /// Starts to serve the page, if there is to be one.
    pub(super) fn open(
        address: Option<&PageAddress>,
        environment: &Environment,
    ) -> Result<Option<Self>, OpenError> {
        let Some(address) = address else { return Ok(None) };
        let health = Arc::<Health>::default();
        let hub = Arc::clone(&environment.hub);
        hub.watch();
        let names = (&*environment.instance, &*environment.host_release, &*address.listen);
        let page = Arc::new(StatusPage::new(hub, Arc::clone(&health), names));
        let server = PageServer::open(address, page, &environment.log)?;
        let bound = server.address();
        let open = if bound.ip().is_loopback() { "" } else { ", which has no login" };
        environment.log.info(format!("status page on http://{bound}/{open}"));
        Ok(Some(Self { health, _server: server }))
    }

    /// The host called.
    pub(super) fn tick(&self) {
        self.health.tick(clock::now());
    }

    /// The host pauses the input.
    pub(super) fn pause(&self, why: Pause) {
        match why {
            Pause::Pressure => self.health.pause(),
            Pause::Shutdown => self.health.stop(),
        }
    }

    /// The host takes data again.
    pub(super) fn resume(&self) {
        self.health.resume();
    }
}
