//! When runs are due: daylight saving, missed times, strength, clocks set back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use nexus_dirsync::config::{Config, Cron, Schedule, Sources};
use nexus_dirsync::daemon::{Board, Clock, Follower, Requests, Timetable};
use nexus_dirsync::directory::Mode::{self, Delta, Full};
use nexus_dirsync::metrics::Metrics;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const TENANT: Uuid = Uuid::from_u128(7);

fn config(delta: &str, full: &str, zone: &str, jitter: &str) -> Config {
    let environment = [
        ("IDENTITY__KIND", "azure_cli"),
        ("IDENTITY__TENANT_ID", "11111111-2222-3333-4444-555555555555"),
        ("SCHEDULE__DELTA", delta),
        ("SCHEDULE__FULL", full),
        ("SCHEDULE__TIME_ZONE", zone),
        ("SCHEDULE__FULL_JITTER", jitter),
    ]
    .map(|(key, value)| (format!("DIRSYNC__{key}"), OsString::from(value)))
    .into();
    Config::load(&Sources { file: None, environment }).expect("a good configuration")
}

fn schedule(delta: &str, full: &str, zone: &str) -> Schedule {
    config(delta, full, zone, "0s").schedule
}

fn at(time: &str) -> DateTime<Utc> {
    format!("{time}:00Z").parse().expect("a time")
}

fn never() -> BTreeMap<Mode, DateTime<Utc>> {
    BTreeMap::new()
}

/// Ticks once a minute from `from` to `to` and lists what was due when.
fn due(timetable: &mut Timetable, from: &str, to: &str) -> Vec<(Mode, String)> {
    let minutes = (at(to) - at(from)).num_minutes();
    let times = (0..=minutes).map(|minute| at(from) + TimeDelta::minutes(minute));
    times
        .filter_map(|now| Some((timetable.due(now)?, now.format("%dT%H:%M").to_string())))
        .collect()
}

#[test]
fn daylight_saving_neither_skips_nor_repeats() {
    for (full, from, to, expected) in [
        // 2026-03-29: at 02:00 the clocks of Berlin go to 03:00, which is 01:00 UTC.
        (
            "0 3 * * *",
            "2026-03-28T00:00",
            "2026-03-30T12:00",
            &["28T02:00", "29T01:00", "30T01:00"][..],
        ),
        (
            "30 2 * * *",
            "2026-03-28T00:00",
            "2026-03-30T12:00",
            &["28T01:30", "29T01:00", "30T00:30"],
        ),
        // 2026-10-25: at 03:00 they go back to 02:00, so 02:30 is there twice.
        (
            "0 3 * * *",
            "2026-10-24T00:00",
            "2026-10-26T12:00",
            &["24T01:00", "25T02:00", "26T02:00"],
        ),
        (
            "30 2 * * *",
            "2026-10-24T00:00",
            "2026-10-26T12:00",
            &["24T00:30", "25T00:30", "26T01:30"],
        ),
    ] {
        let mut timetable =
            Timetable::new(&schedule("off", full, "Europe/Berlin"), TENANT, &never(), at(from));
        let found: Vec<_> = due(&mut timetable, from, to).into_iter().map(|(_, at)| at).collect();
        assert_eq!(found, expected, "{full} from {from}");
    }
}

#[test]
fn intervals_go_on_through_both_changes() {
    for day in ["2026-03-29", "2026-10-25"] {
        let (from, to) = (format!("{day}T00:00"), format!("{day}T03:00"));
        let schedule = schedule("*/5 * * * *", "off", "Europe/Berlin");
        let mut timetable = Timetable::new(&schedule, TENANT, &never(), at(&from));
        assert_eq!(due(&mut timetable, &from, &to).len(), 36, "{day}");
    }
}

/// Starting, or reloading, in the second pass of a fold: times of the first pass are over.
#[test]
fn whatever_the_moment_the_next_time_is_ahead() {
    for expression in ["*/5 * * * *", "30 2 * * *", "0,30 2 * * *", "0 3 * * *"] {
        let cron = Cron::parse(expression).expect("cron");
        for day in ["2026-03-29", "2026-10-25"] {
            let mut previous = None;
            for second in (0..4 * 3600).step_by(17) {
                let now =
                    at(&format!("{day}T00:00")) - TimeDelta::hours(1) + TimeDelta::seconds(second);
                let next = cron.next_after(now, chrono_tz::Europe::Berlin);
                assert!(next.is_some_and(|next| next > now), "{expression} after {now}: {next:?}");
                assert!(next >= previous, "{expression} after {now}: {next:?} before {previous:?}");
                previous = next;
            }
        }
    }
}

#[test]
fn what_is_due_together_is_one_full_run() {
    let schedule = schedule("*/5 * * * *", "0 3 * * *", "UTC");
    let mut timetable = Timetable::new(&schedule, TENANT, &never(), at("2026-05-01T02:50"));
    let found = due(&mut timetable, "2026-05-01T02:50", "2026-05-01T03:05");
    let modes: Vec<_> = found.into_iter().map(|(mode, _)| mode).collect();
    assert_eq!(modes, [Delta, Full, Delta]);
}

#[test]
fn what_was_missed_is_made_up_for_once() {
    let schedule = schedule("off", "0 3 * * *", "UTC");
    let last = BTreeMap::from([(Full, at("2026-05-01T03:00"))]);
    let now = at("2026-05-05T12:00");
    let mut timetable = Timetable::new(&schedule, TENANT, &last, now);
    assert_eq!((timetable.due(now), timetable.due(now)), (Some(Full), None));
    assert_eq!(timetable.next()[&Full], at("2026-05-06T03:00"));

    // A blocked process, or a laptop that slept: the same.
    let later = at("2026-05-09T12:00");
    assert_eq!((timetable.due(later), timetable.due(later)), (Some(Full), None));
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_the_daemon() {
    let schedule = schedule("*/5 * * * *", "off", "UTC");
    let mut timetable = Timetable::new(&schedule, TENANT, &never(), at("2027-01-01T00:00"));
    assert_eq!(timetable.due(at("2026-01-01T00:01")), None);
    assert_eq!(timetable.next()[&Delta], at("2026-01-01T00:05"));
}

#[test]
fn jitter_is_the_same_each_night_and_differs_between_tenants() {
    let schedule = config("off", "0 3 * * *", "UTC", "30m").schedule;
    let first = |tenant, now| Timetable::new(&schedule, tenant, &never(), at(now)).next()[&Full];
    let delays: Vec<_> = (0..20)
        .map(|tenant| first(Uuid::from_u128(tenant), "2026-05-01T00:00") - at("2026-05-01T03:00"))
        .collect();
    assert!(delays.iter().all(|delay| (0..=1800).contains(&delay.num_seconds())), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay != delays[0]));
    let night = first(TENANT, "2026-05-02T00:00") - first(TENANT, "2026-05-01T00:00");
    assert_eq!(night, TimeDelta::days(1));

    // Between the expression's time and the delayed one the run is still to come.
    let delayed = first(TENANT, "2026-05-01T00:00");
    let between = delayed - TimeDelta::seconds(1);
    assert_eq!(Timetable::new(&schedule, TENANT, &never(), between).next()[&Full], delayed);
}

/// A reload changes the times; a ticker that falls silent ends the part.
#[tokio::test(start_paused = true)]
async fn the_schedule_follows_the_configuration_and_notices_a_dead_ticker() {
    let started = tokio::time::Instant::now();
    let epoch = at("2026-05-01T00:00");
    let clock =
        Clock::new(move || epoch + TimeDelta::from_std(started.elapsed()).expect("a short time"));
    let board = Arc::new(Board::new(Arc::new(Metrics::new()), clock.clone()));
    let status = board.watch();
    let (config_in_use, configs) =
        watch::channel(Arc::new(config("0 12 * * *", "off", "UTC", "0s")));
    let (tick, mut ticks) = mpsc::channel(1);
    let requests = Requests::default();
    let (_succeeded, last) = watch::channel(never());
    let follower = Follower { config: configs, last, requests, board, clock };
    let following = tokio::spawn(async move { follower.follow(&mut ticks).await });

    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status.borrow().next["delta"], at("2026-05-01T12:00"));
    config_in_use.send_replace(Arc::new(config("0 6 * * *", "off", "UTC", "0s")));
    tick.send(()).await.expect("somebody follows");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status.borrow().next["delta"], at("2026-05-01T06:00"));

    tokio::time::sleep(Duration::from_secs(58)).await;
    assert!(!following.is_finished());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(following.is_finished());
}

/// A replica that begins to lead makes good what nobody did while there was no leader.
#[tokio::test(start_paused = true)]
async fn what_was_missed_without_a_leader_is_due_when_one_begins() {
    let clock = Clock::new(|| at("2026-05-02T03:01"));
    let board = Arc::new(Board::new(Arc::new(Metrics::new()), clock.clone()));
    let (_config, configs) = watch::channel(Arc::new(config("off", "0 3 * * *", "UTC", "0s")));
    let (succeeded, last) = watch::channel(never());
    let (tick, mut ticks) = mpsc::channel(1);
    let requests = Requests::default();
    let follower = Follower { config: configs, last, requests: requests.clone(), board, clock };
    tokio::spawn(async move { follower.follow(&mut ticks).await });
    for (last, due) in [("2026-05-02T03:00", false), ("2026-05-01T03:00", true)] {
        succeeded.send_replace([(Full, at(last))].into());
        tick.send(()).await.expect("somebody follows");
        tokio::time::sleep(Duration::from_secs(1)).await;
        // What is pending shows in its Debug only: taking it is the run loop's.
        assert_eq!(format!("{requests:?}").contains("Full"), due, "{requests:?}");
    }
}
#[test]
fn the_longest_gap_is_that_of_nights_weekends_and_changed_clocks() {
    let now = at("2026-03-02T12:00");
    let (minutes, hours, days) = (TimeDelta::minutes, TimeDelta::hours, TimeDelta::days);
    for (expression, zone, expected) in [
        ("* * * * * *", "UTC", TimeDelta::seconds(1)),
        ("*/5 * * * *", "UTC", minutes(5)),
        ("*/7 * * * *", "UTC", minutes(7)),
        ("0 3 * * *", "UTC", days(1)),
        ("0 3 * * *", "Europe/Berlin", hours(25)),
        ("0 9-17 * * 1-5", "UTC", hours(64)),
        ("* 8-18 * * 1-5", "UTC", hours(61) + minutes(1)),
        ("0 3 1 * *", "UTC", days(31)),
        ("0 3 29 2 *", "UTC", days(4 * 365 + 1)),
    ] {
        let cron = Cron::parse(expression).expect("cron");
        let zone: Tz = zone.parse().expect("a zone");
        assert_eq!(cron.longest_gap(now, zone), Some(expected), "{expression} {zone}");
    }
}
