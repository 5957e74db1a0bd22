//! Metrics that services report themselves, seen as they pass, so that nothing is said twice under one name.

mod hours;
mod last_amounts;
mod names;
mod point;
mod reports;
mod service;
mod services;

pub(super) use self::reports::ServiceReports;
pub(super) use self::service::ServiceKey;
pub(super) use self::services::{ReportedConfig, ReportedServices};
