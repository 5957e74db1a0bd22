//! Waiting pages: the hand-over from the runtime's threads to the host's, one page of each target.

use crate::hub::EmissionForm;
use crate::model::Emission;
use crate::sync::Mutex;

/// The events of one page.
#[derive(Debug)]
pub struct ScrapedEvents {
    /// The events and their tag.
    pub emission: Emission,
    /// In what form they are to be appended.
    pub form: EmissionForm,
    /// Which target they are of.
    pub(super) place: usize,
}

/// What waits for the host's thread.
#[derive(Debug)]
pub(super) struct WaitingPages {
    pages: Mutex<Vec<Option<ScrapedEvents>>>,
}

impl WaitingPages {
    pub(super) fn new(targets: usize) -> Self {
        Self { pages: Mutex::new((0..targets).map(|_| None).collect()) }
    }

    /// Adds a page. Says how many records of the same target waited until now, which are gone.
    pub(super) fn put(&self, events: ScrapedEvents) -> usize {
        let mut pages = self.pages.lock();
        let former = pages.get_mut(events.place).and_then(|place| place.replace(events));
        former.map_or(0, |former| former.emission.records)
    }

    /// Adds a page again, unless a newer one waits.
    pub(super) fn put_back(&self, events: ScrapedEvents) {
        let mut pages = self.pages.lock();
        if let Some(place) = pages.get_mut(events.place) {
            place.get_or_insert(events);
        }
    }

    pub(super) fn take(&self) -> Option<ScrapedEvents> {
        self.pages.lock().iter_mut().find_map(Option::take)
    }
}
