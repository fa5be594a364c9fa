//! Following page links from the first page to the last.
//!
//! Owns the walk: where a chain ends, when it does not, and what an expired link
//! means at which place. Must not know what the objects are.

use std::collections::HashSet;

use tracing::debug;
use url::Url;

use super::client::{Client, Flaw, parse};
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
pub(super) struct End {
    /// The delta link, of a round.
    pub(super) delta: Option<String>,
    /// Pages read.
    pub(super) pages: u32,
    /// Graph's id of the last request.
    pub(super) request_id: Option<String>,
}

/// One page as a walk takes it.
pub(super) struct Leaf {
    pub(super) items: Vec<Object>,
    pub(super) next: Option<String>,
    pub(super) delta: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Leaf {
    /// A 200 without `value` is an incomplete read, not an empty page.
    pub(super) fn new(
        endpoint: Endpoint,
        page: Page,
        request_id: Option<String>,
    ) -> Result<Self, Flaw> {
        match page.value {
            Some(items) => Ok(Self { items, next: page.next, delta: page.delta, request_id }),
            None => Err(Flaw::Final(Error::Incomplete {
                endpoint,
                what: "a page came without its value",
            })),
        }
    }
}

impl Client {
    /// Reads one page.
    pub(super) async fn page(&self, endpoint: Endpoint, url: Url) -> Result<Leaf, Error> {
        self.exchange(&Call::get(endpoint, url), |reply| {
            let page: Page = parse(endpoint, &reply.body)?;
            let leaf = Leaf::new(endpoint, page, reply.header("request-id").map(str::to_owned))?;
            self.meter.page();
            Ok(leaf)
        })
        .await
    }

    /// Reads every page from `first` on, giving each object to `take` in the order of arrival.
    ///
    /// Fails when a link comes up twice or there are more than `pages_max` pages (trap 4).
    pub(super) async fn walk(
        &self,
        endpoint: Endpoint,
        chain: Chain,
        first: Url,
        mut take: impl FnMut(Object) -> Result<(), Error> + Send,
    ) -> Result<End, Error> {
        let mut url = first;
        let mut seen = HashSet::from([url.as_str().to_owned()]);
        let mut pages = 0;
        loop {
            let leaf =
                self.page(endpoint, url).await.map_err(|error| judge(error, chain, pages))?;
            pages += 1;
            leaf.items.into_iter().try_for_each(&mut take)?;
            let Some(next) = leaf.next else {
                let (delta, request_id) = (leaf.delta, leaf.request_id);
                // One that leads elsewhere must not be stored: no later run could use it.
                delta.as_deref().map(|link| self.root.follow(endpoint, link)).transpose()?;
                if matches!(chain, Chain::FirstRound | Chain::StoredRound) && delta.is_none() {
                    return Err(Error::Incomplete {
                        endpoint,
                        what: "the last page has no delta link",
                    });
                }
                return Ok(End { delta, pages, request_id });
            };
            // A page with both links has more pages; its delta link would skip them.
            url = self.root.follow(endpoint, &next)?;
            if !seen.insert(url.as_str().to_owned()) {
                let what = format!(
                    "repeats a page link after {pages} pages; try again later, and report it to Microsoft if it stays"
                );
                return Err(Error::Endless { endpoint, what });
            }
            if pages >= self.settings.pages_max {
                let what = format!(
                    "has more than {pages} pages (graph.pages_max); raise the limit if the tenant is that large"
                );
                return Err(Error::Endless { endpoint, what });
            }
        }
    }

    /// Walks into a fresh `A`, from the beginning again when page links expire (trap 17).
    pub(super) async fn gather<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        chain: Chain,
        first: &Url,
        fold: impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync,
    ) -> Result<(A, End), Error> {
        let mut restarts = 0;
        loop {
            let mut into = A::default();
            match self.walk(endpoint, chain, first.clone(), |object| fold(&mut into, object)).await
            {
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
    let (Error::Rejected(rejection) | Error::NotFound(rejection)) = error else {
        return error;
    };
    let stored = chain == Chain::StoredRound;
    if stored && rejection.is_reset() || stored && pages_before == 0 && rejection.is_expired_page()
    {
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
            (404, "", StoredRound, 0, "not_found"),
            (400, "Request_BadRequest", StoredRound, 0, "rejected"),
            (400, "", StoredRound, 0, "rejected"),
            (403, "Authorization_RequestDenied", StoredRound, 0, "forbidden"),
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
