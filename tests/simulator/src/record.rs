//! What was asked and answered, for assertions and measurements. It only keeps books.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// One answered request, or one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// Path and query exactly as received.
    pub target: String,
    /// The status of the answer; 0 if the connection was cut or left hanging.
    pub status: u16,
    /// Resource units charged.
    pub units: u32,
    /// Bytes of the body before compression.
    pub bytes: u64,
    /// Whether this was an item of a `$batch`.
    pub in_batch: bool,
    /// The `client-request-id` the caller sent.
    pub client_request_id: Option<String>,
    /// The `Prefer` header the caller sent.
    pub prefer: Option<String>,
}

/// Totals since the start or the last reset. Control requests do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// HTTP requests, token requests included.
    pub requests: u64,
    /// Requests to the token endpoints.
    pub token_requests: u64,
    /// Items inside batches; the batch itself is in `requests`.
    pub batch_items: u64,
    /// Resource units charged.
    pub units: u64,
    /// Bytes of bodies before compression.
    pub bytes: u64,
    /// Answers and items with status 429.
    pub throttled: u64,
    /// The most requests that were under way at once.
    pub under_way_max: u64,
    /// Answers and items by status; 0 stands for no complete answer.
    pub by_status: BTreeMap<u16, u64>,
}

/// The books of a running simulator.
#[derive(Debug)]
pub(crate) struct Recorder {
    keep: usize,
    records: VecDeque<RequestRecord>,
    counters: Counters,
    under_way: u64,
}

impl Recorder {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, records: VecDeque::new(), counters: Counters::default(), under_way: 0 }
    }

    pub(crate) fn add(&mut self, record: RequestRecord) {
        let totals = &mut self.counters;
        if record.in_batch {
            totals.batch_items += 1;
        } else {
            totals.requests += 1;
            totals.token_requests += u64::from(is_token_request(&record.target));
            totals.bytes += record.bytes;
        }
        totals.units += u64::from(record.units);
        totals.throttled += u64::from(record.status == 429);
        *totals.by_status.entry(record.status).or_default() += 1;
        if self.keep == 0 {
            return;
        }
        if self.records.len() == self.keep {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub(crate) fn begin(&mut self) {
        self.under_way += 1;
        self.counters.under_way_max = self.counters.under_way_max.max(self.under_way);
    }

    pub(crate) fn end(&mut self) {
        self.under_way -= 1;
    }

    pub(crate) fn records(&self) -> Vec<RequestRecord> {
        self.records.iter().cloned().collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(crate) fn reset(&mut self) {
        self.records.clear();
        self.counters = Counters::default();
    }
}

fn is_token_request(target: &str) -> bool {
    target.contains("/oauth2/v2.0/token") || target.starts_with("/msi/token")
}
