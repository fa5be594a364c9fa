//! How a daemon ends, under paused time.

use std::time::Duration;

use nexus_dirsync::daemon::{Ended, Shutdown, Supervisor};
use tokio::time::{Instant, sleep};

const GRACE: Duration = Duration::from_secs(20);

/// Runs `part` beside one that ends as soon as it is asked to.
async fn ending(
    part: impl Future<Output = ()> + Send + 'static,
    stop_after: Option<u64>,
) -> (Result<(), Ended>, u64) {
    let (stopper, shutdown) = Shutdown::channel();
    let mut parts = Supervisor::new(stopper.clone(), shutdown.clone());
    parts.start("part", part);
    parts.start("polite part", async move {
        shutdown.stopped().await;
    });
    if let Some(seconds) = stop_after {
        tokio::spawn(async move {
            sleep(Duration::from_secs(seconds)).await;
            stopper.stop();
        });
    }
    let started = Instant::now();
    let ended = parts.run(GRACE).await;
    (ended, started.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn one_ends_all_end() {
    let busy = |seconds| sleep(Duration::from_secs(seconds));
    let late_panic = async {
        sleep(Duration::from_secs(10)).await;
        panic!("a bug")
    };
    assert_eq!(ending(busy(15), Some(5)).await, (Ok(()), 15));
    assert_eq!(ending(busy(5), None).await, (Err(Ended::Early("part")), 5));
    assert_eq!(ending(async { panic!("a bug") }, None).await, (Err(Ended::Panicked("part")), 0));
    assert_eq!(ending(late_panic, Some(5)).await, (Err(Ended::Panicked("part")), 10));
    assert_eq!(ending(busy(1000), Some(5)).await, (Err(Ended::Late("part")), 25));
}

#[tokio::test(start_paused = true)]
async fn nobody_left_to_say_stop_means_stop() {
    let (stopper, shutdown) = Shutdown::channel();
    let endless = shutdown.unless_stopped(std::future::pending::<()>());
    drop(stopper);
    assert!(endless.await.is_err());
}

/// On several threads a part may end before the supervisor hears of the stop it obeyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_that_obeys_faster_than_the_supervisor_hears_did_not_end_early() {
    for _ in 0..500 {
        let (stopper, shutdown) = Shutdown::channel();
        let mut parts = Supervisor::new(stopper.clone(), shutdown.clone());
        for _ in 0..8 {
            let shutdown = shutdown.clone();
            parts.start("part", async move {
                shutdown.stopped().await;
            });
        }
        parts.start("signal handler", async move {
            tokio::task::yield_now().await;
            stopper.stop();
        });
        assert_eq!(parts.run(GRACE).await, Ok(()));
    }
}
