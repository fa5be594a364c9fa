//! Following page links from the first page to the last.
//!
//! Owns the walk, and what an expired link means at which place. Whether a chain is
//! complete is decided by its [`Trail`], which alone makes the proof. Must not know what
//! the objects are.

use tracing::debug;
use url::Url;

use crate::directory::proof::{Ending, Gap, PageSeen, Proof, Receipt, Step, Trail};

use super::client::{Client, parse};
use super::error::Error;
use super::observe::Endpoint;
use super::transport::Call;
use super::wire::{Object, Page};

/// What kind of chain it is, and so what must stand on its last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// A list: it ends where there is no next link.
    List,
    /// A list from its second page on: already the first link may have expired.
    Rest,
    /// A round from a link of our own making: it ends with a delta link and with nothing else.
    FirstRound,
    /// A round from a stored link, which may be lost.
    StoredRound,
}

/// How a chain ended.
#[derive(Debug)]
pub(super) struct End<E> {
    /// That it was complete.
    pub(super) proof: Proof<E>,
    /// The delta link, of a round.
    pub(super) delta: Option<String>,
}

/// One page as a walk takes it.
pub(super) struct Leaf {
    page: Page,
    status: u16,
    receipt: Receipt,
}

/// A page that its trail has taken.
pub(super) struct Taken<E> {
    pub(super) items: Vec<Object>,
    pub(super) next: Option<String>,
    pub(super) delta: Option<String>,
    pub(super) step: Step<E>,
}

impl Leaf {
    pub(super) const fn new(page: Page, status: u16, receipt: Receipt) -> Self {
        Self { page, status, receipt }
    }

    /// Puts the page to its trail; what it holds counts only if that takes it.
    pub(super) fn put<E: Ending>(
        self,
        endpoint: Endpoint,
        trail: &mut Trail<E>,
    ) -> Result<Taken<E>, Error> {
        let Self { page: Page { next, delta, value }, status, receipt } = self;
        let seen = PageSeen {
            status,
            has_value: value.is_some(),
            next: next.as_deref(),
            delta: delta.as_deref(),
            receipt,
        };
        let step = trail.page(&seen).map_err(|gap| broken(endpoint, gap))?;
        Ok(Taken { items: value.unwrap_or_default(), next, delta, step })
    }
}

/// The error for a chain that proves nothing.
fn broken(endpoint: Endpoint, gap: Gap) -> Error {
    let incomplete = |what| Error::Incomplete { endpoint, what };
    match gap {
        Gap::Status(_) => incomplete("a page came with a status other than 200"),
        Gap::NoValue => incomplete("a page came without its value"),
        Gap::NoDeltaLink => incomplete(NO_DELTA_LINK),
        Gap::Repeated(pages) => {
            let what = format!(
                "repeats a page link after {pages} pages; try again later, and report it to Microsoft if it stays"
            );
            Error::Endless { endpoint, what }
        }
        Gap::TooLong(pages) => {
            let what = format!(
                "has more than {pages} pages (graph.pages_max); raise the limit if the tenant is that large"
            );
            Error::Endless { endpoint, what }
        }
    }
}

/// What a round without its end lacks.
pub(super) const NO_DELTA_LINK: &str = "the last page has no delta link";

impl Client {
    /// Reads one page.
    pub(super) async fn page(&self, endpoint: Endpoint, url: Url) -> Result<Leaf, Error> {
        self.exchange(&Call::get(endpoint, url), |reply| {
            let page: Page = parse(endpoint, &reply.body)?;
            self.meter.page();
            Ok(Leaf::new(page, reply.status, reply.receipt()))
        })
        .await
    }

    /// Begins a chain at `first`.
    pub(super) fn trail<E: Ending>(&self, first: &Url) -> Trail<E> {
        Trail::start(first.as_str(), self.settings.pages_max)
    }

    /// Reads every page of a trail from `url` on, giving each object to `take` in the order of
    /// arrival.
    ///
    /// Fails where the trail breaks off: when a link comes up twice, say, or there are more than
    /// `pages_max` pages (trap 4).
    pub(super) async fn walk<E: Ending + Send>(
        &self,
        endpoint: Endpoint,
        chain: Chain,
        mut trail: Trail<E>,
        mut url: Url,
        mut take: impl FnMut(Object) -> Result<(), Error> + Send,
    ) -> Result<End<E>, Error> {
        loop {
            let before = trail.pages();
            let leaf =
                self.page(endpoint, url).await.map_err(|error| judge(error, chain, before))?;
            let Taken { items, next, delta, step } = leaf.put(endpoint, &mut trail)?;
            items.into_iter().try_for_each(&mut take)?;
            // One that leads elsewhere must not be stored: no later run could use it.
            let follow = |link: &str| self.root.follow(endpoint, link);
            match (step, next) {
                (Step::End(proof), _) => {
                    delta.as_deref().map(follow).transpose()?;
                    return Ok(End { proof, delta });
                }
                (Step::More, next) => url = follow(&next.unwrap_or_default())?,
            }
        }
    }

    /// Walks into a fresh `A`, from the beginning again when page links expire (trap 17).
    pub(super) async fn gather<A: Default + Send, E: Ending + Send>(
        &self,
        endpoint: Endpoint,
        chain: Chain,
        first: &Url,
        fold: impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync,
    ) -> Result<(A, End<E>), Error> {
        let mut restarts = 0;
        loop {
            let mut into = A::default();
            let take = |object| fold(&mut into, object);
            match self.walk(endpoint, chain, self.trail(first), first.clone(), take).await {
                Err(Error::PageExpired(_)) if restarts < self.settings.restarts_max => {
                    restarts += 1;
                    self.meter.retried(endpoint, "page_expired");
                    debug!(%endpoint, restarts, "page links expired, beginning again");
                }
                outcome => return outcome.map(|end| (into, end)),
            }
        }
    }
}

/// What a rejection means at its place in the chain (1.7 of the facts): the same code says
/// "lost" of a stored link, "begin again" of a page link, and "our mistake" of a first call.
fn judge(error: Error, chain: Chain, pages_before: u32) -> Error {
    let (Error::Rejected(rejection) | Error::NotFound(rejection) | Error::Forbidden(rejection)) =
        error
    else {
        return error;
    };
    let stored = chain == Chain::StoredRound;
    let first = pages_before == 0;
    if stored && (rejection.is_reset() || first && rejection.is_not_understood()) {
        return Error::CursorLost(rejection);
    }
    let on_page_link = pages_before > 0 || chain == Chain::Rest;
    if on_page_link && (rejection.is_expired_page() || rejection.is_reset()) {
        return Error::PageExpired(rejection);
    }
    rejection.into_error()
}

#[cfg(test)]
mod tests {
    use super::super::error::Rejection;
    use super::*;

    fn kind_of(status: u16, code: &str, chain: Chain, pages_before: u32) -> &'static str {
        let codes = Some(code.to_owned()).filter(|code| !code.is_empty()).into_iter().collect();
        let rejection =
            Rejection { endpoint: Endpoint::UsersDelta, status, codes, request_id: None };
        judge(rejection.into_error(), chain, pages_before).kind()
    }

    #[test]
    fn trap_11_a_rejection_is_judged_by_place_and_code() {
        use Chain::{FirstRound, List, Rest, StoredRound};
        let table = [
            (410, "", StoredRound, 0, "cursor_lost"),
            (410, "SyncStateNotFound", StoredRound, 3, "cursor_lost"),
            (400, "syncStateNotFound", StoredRound, 0, "cursor_lost"),
            (404, "SYNCSTATENOTFOUND", StoredRound, 0, "cursor_lost"),
            (400, "resyncRequired", StoredRound, 0, "cursor_lost"),
            (400, "resyncApplyDifferences", StoredRound, 1, "cursor_lost"),
            (400, "Request_UnsupportedQuery", StoredRound, 0, "cursor_lost"),
            (400, "Directory_ExpiredPageToken", StoredRound, 0, "cursor_lost"),
            (400, "Directory_ExpiredPageToken", StoredRound, 1, "page_expired"),
            (404, "directory_expiredpagetoken", StoredRound, 1, "page_expired"),
            (400, "Request_UnsupportedQuery", StoredRound, 1, "page_expired"),
            (400, "Request_UnsupportedQuery", FirstRound, 0, "rejected"),
            (400, "Request_UnsupportedQuery", List, 0, "rejected"),
            (400, "Directory_ExpiredPageToken", List, 0, "rejected"),
            (400, "Directory_ExpiredPageToken", List, 2, "page_expired"),
            (400, "Directory_ExpiredPageToken", Rest, 0, "page_expired"),
            (410, "", FirstRound, 1, "page_expired"),
            (404, "", StoredRound, 0, "cursor_lost"),
            (400, "Request_BadRequest", StoredRound, 0, "cursor_lost"),
            (400, "", StoredRound, 0, "cursor_lost"),
            (409, "resyncRequired", StoredRound, 0, "cursor_lost"),
            (412, "resyncApplyDifferences", StoredRound, 2, "cursor_lost"),
            (403, "syncStateNotFound", StoredRound, 0, "cursor_lost"),
            (403, "syncStateNotFound", FirstRound, 0, "forbidden"),
            (404, "", StoredRound, 1, "not_found"),
            (400, "Request_BadRequest", StoredRound, 1, "rejected"),
            (404, "", FirstRound, 0, "not_found"),
            (400, "", FirstRound, 0, "rejected"),
            (409, "", StoredRound, 0, "rejected"),
            (403, "Authorization_RequestDenied", StoredRound, 0, "forbidden"),
            (401, "syncStateNotFound", StoredRound, 0, "unauthorized"),
        ];
        for (status, code, chain, pages, expected) in table {
            assert_eq!(
                kind_of(status, code, chain, pages),
                expected,
                "{status} {code} {chain:?} after {pages}"
            );
        }
    }
}
