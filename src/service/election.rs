//! Stands for the lead, keeps asking whether it is still there, and gives it up.
//!
//! Owns when: how often it is asked, how long an answer may take, how soon a lost
//! connection is made anew. Must not know how a lead is taken; that is the store's.
//!
//! The connection lives on a thread of its own: a question that is never answered holds
//! up neither the runtime nor the end of the process.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc as channel, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::chain::Chain;
use crate::config;
use crate::daemon::{Lead, Leader, Requests};
use crate::store::{self, Candidacy, Candidate, Standing, Store};

/// How often the connection is looked at for a call from somebody else.
const LISTEN_EVERY: Duration = Duration::from_millis(100);
/// The pause before the first new connection; it doubles each time.
const RECONNECT_MIN: Duration = Duration::from_millis(250);
/// The longest: a standby must take over within seconds.
const RECONNECT_MAX: Duration = Duration::from_secs(4);
/// Threads whose connection never answered; each ends when the system gives up on it.
const SILENT_MAX: usize = 8;

/// One replica's stand in the election.
pub struct Election {
    store: Store,
    settings: config::Leader,
    lead: watch::Sender<Lead>,
    inbox: Inbox,
    /// Counts the threads that live.
    threads: Arc<()>,
}

/// Why a connection is given up for another one.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the database did not answer within {}", humantime::format_duration(*.0))]
    Silent(Duration),
    #[error("{SILENT_MAX} connections to the database are still waiting for an answer")]
    Crowded,
    #[error("the database does not answer what this replica asks as a leader")]
    Mute,
    #[error("the thread of the lead could not start, or ended")]
    Thread,
}

enum Job {
    Ask(oneshot::Sender<Result<Standing, store::Error>>),
    Release(oneshot::Sender<Result<(), store::Error>>),
}

/// The thread with the connection. Dropped, the connection ends as soon as it answers.
struct Worker {
    jobs: mpsc::Sender<Job>,
    calls: channel::Receiver<Result<(), store::Error>>,
}

impl Election {
    /// Nothing is asked yet.
    pub fn new(
        store: Store,
        settings: config::Leader,
        lead: watch::Sender<Lead>,
        inbox: Inbox,
    ) -> Self {
        Self { store, settings, lead, inbox, threads: Arc::new(()) }
    }

    /// Leads or stands by until `over`, then gives the lead up.
    pub async fn hold(self, requests: Requests, over: CancellationToken) {
        let (mut pause, mut told) = (RECONNECT_MIN, String::new());
        while !over.is_cancelled() {
            match self.session(&requests, &over, &mut pause).await {
                Ok(()) => return,
                Err(lost) => self.lost(&lost, &mut told),
            }
            let _ = timeout(pause, over.cancelled()).await;
            pause = RECONNECT_MAX.min(pause * 2);
        }
    }

    /// One connection, for as long as it answers.
    async fn session(
        &self,
        requests: &Requests,
        over: &CancellationToken,
        pause: &mut Duration,
    ) -> Result<(), Lost> {
        if self.store.is_mute() {
            tokio::select! {
                biased;
                () = over.cancelled() => return Ok(()),
                ready = self.store.ready() => ready?,
            }
        }
        let mut worker = self.start()?;
        let mut leads = false;
        loop {
            // Whose runs get no answer must not keep others from leading.
            if leads && self.store.is_mute() {
                self.release(&worker).await?;
                return Err(Lost::Mute);
            }
            match self.ask(&worker, leads).await? {
                Standing::Leads(leader, pending) => {
                    leads = true;
                    self.publish(true, Some(leader));
                    self.inbox.deliver(&pending, requests);
                }
                Standing::StandsBy(leader) => {
                    leads = false;
                    self.publish(false, leader);
                }
            }
            *pause = RECONNECT_MIN;
            tokio::select! {
                biased;
                () = over.cancelled() => return self.release(&worker).await,
                call = worker.calls.recv() => call.ok_or(Lost::Thread)??,
                () = sleep(self.settings.ask_every) => {}
            }
        }
    }

    /// A leader's answer must come at once. A standby waits for a connection, and whoever
    /// takes the lead for a former leader's commit.
    async fn ask(&self, worker: &Worker, leads: bool) -> Result<Standing, Lost> {
        let patience = self.settings.patience;
        let allowed =
            if leads { patience } else { self.store.connect_timeout() * 2 + patience * 4 };
        let (reply, answer) = oneshot::channel();
        worker.jobs.send(Job::Ask(reply)).map_err(|_| Lost::Thread)?;
        let asked = Instant::now();
        let answer = timeout(allowed, answer).await.map_err(|_| Lost::Silent(allowed))?;
        // An answer that waited for a paused process to wake up is out of date.
        if asked.elapsed() > allowed {
            return Err(Lost::Silent(allowed));
        }
        Ok(answer.map_err(|_| Lost::Thread)??)
    }

    async fn release(&self, worker: &Worker) -> Result<(), Lost> {
        let led = self.lead.borrow().leading;
        self.publish(false, None);
        let (reply, answer) = oneshot::channel();
        let sent = worker.jobs.send(Job::Release(reply)).is_ok();
        // Whatever comes of it: the process ends, and with it the connection.
        if sent && matches!(timeout(self.settings.patience, answer).await, Ok(Ok(Ok(())))) && led {
            tracing::info!("gave the lead up");
        }
        Ok(())
    }

    fn publish(&self, leading: bool, leader: Option<store::Leader>) {
        if !leading {
            self.inbox.forget();
        }
        self.lead.send_if_modified(|lead| {
            let before = lead.clone();
            lead.leading = leading;
            if let (true, Some(leader)) = (leading, &leader) {
                lead.epoch = Some(leader.epoch);
            }
            lead.leader = leader.map(|leader| Leader {
                instance: leader.holder,
                epoch: leader.epoch,
                since: leader.since,
            });
            if lead.problem.take().is_some() {
                tracing::info!("the database tells again who leads");
            }
            *lead != before
        });
    }

    /// Whoever cannot ask does not lead. What was `told` last is not told at each new try.
    fn lost(&self, lost: &Lost, told: &mut String) {
        self.inbox.forget();
        let why = Chain(lost).to_string();
        self.lead.send_if_modified(|lead| {
            if lead.problem.is_none() || *told != why {
                tracing::warn!("it cannot be told who leads: {why}");
                *told = why;
            }
            // What the database says may name it; the probe that shows this is for everybody.
            let problem = Some(lost.to_string());
            let before = std::mem::replace(
                lead,
                Lead { leading: false, epoch: lead.epoch, leader: None, problem },
            );
            *lead != before
        });
    }

    fn start(&self) -> Result<Worker, Lost> {
        if Arc::strong_count(&self.threads) > SILENT_MAX {
            return Err(Lost::Crowded);
        }
        let (jobs, inbox) = mpsc::channel();
        let (call, calls) = channel::channel(1);
        let (store, before) = (self.store.clone(), self.lead.borrow().epoch);
        let candidacy = Candidacy {
            holder: self.settings.instance(),
            patience: self.settings.patience,
            lease: self.settings.lease,
        };
        let counted = Arc::clone(&self.threads);
        thread::Builder::new()
            .name("lead".to_owned())
            .spawn(move || {
                work(|| Candidate::stand(&store, candidacy, before), &inbox, &call);
                drop(counted);
            })
            .map_err(|_| Lost::Thread)?;
        Ok(Worker { jobs, calls })
    }
}

/// What the thread does until it is left alone or its connection breaks.
fn work(
    stand: impl FnOnce() -> Result<Candidate, store::Error>,
    jobs: &mpsc::Receiver<Job>,
    call: &channel::Sender<Result<(), store::Error>>,
) {
    let mut candidate = match stand() {
        Ok(candidate) => candidate,
        Err(error) => {
            if let Ok(Job::Ask(reply)) = jobs.recv() {
                let _ = reply.send(Err(error));
            }
            return;
        }
    };
    loop {
        match jobs.recv_timeout(LISTEN_EVERY) {
            Ok(Job::Ask(reply)) => {
                let standing = candidate.ask();
                let broken = standing.is_err();
                if reply.send(standing).is_err() || broken {
                    return;
                }
            }
            Ok(Job::Release(reply)) => {
                let _ = reply.send(candidate.release());
                return;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => match candidate.woken() {
                // Nobody took the last call yet: one is enough.
                Ok(true) => drop(call.try_send(Ok(()))),
                Ok(false) => {}
                Err(error) => {
                    let _ = call.blocking_send(Err(error));
                    return;
                }
            },
        }
    }
}
