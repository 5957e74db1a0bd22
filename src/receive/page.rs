//! Pages: requests that are answered at once, from what is known already.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use super::response_body::ResponseBody;
use crate::stats::Log;

/// Answers requests without reading their bodies and without waiting for anyone.
pub trait Page: Send + Sync {
    /// The answer to a request; called on a thread of the runtime.
    fn answer(&self, request: &Parts) -> Response<Bytes>;
}

/// A page as the connections have it.
#[derive(Clone)]
pub(super) struct ServedPage {
    pub(super) page: Arc<dyn Page>,
    pub(super) log: Arc<Log>,
}

impl ServedPage {
    pub(super) fn answer(&self, request: &Parts) -> Response<ResponseBody> {
        self.page.answer(request).map(ResponseBody::new)
    }
}
