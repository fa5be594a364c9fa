//! What a value may look like, and the words for one that does not.
//!
//! Owns the forms: numbers, durations, URLs, ids, words. Must not know any key. Forms
//! that hold secrets, or lie next to one, never show the value they refuse.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;
use secrecy::SecretString;
use url::{Host, Url};
use uuid::Uuid;

use super::layers::Raw;
use super::problem::Fault;
use crate::directory::ObjectId;

type Parsed<T> = Result<T, Fault>;

/// Text that may be empty, which means "not set".
pub(super) fn text(raw: &Raw) -> Parsed<Option<&str>> {
    match raw {
        Raw::Text(text) if text.trim().is_empty() => Ok(None),
        Raw::Text(text) => Ok(Some(text.trim())),
        _ => Err(Fault::new("is not text", "write it in quotes")),
    }
}

/// Text that may not be empty.
fn some_text(raw: &Raw) -> Parsed<&str> {
    text(raw)?.ok_or_else(|| Fault::new("is empty", "give it a value, or leave the key out"))
}

/// A whole number within `range`.
pub(super) fn whole(range: RangeInclusive<u32>) -> impl Fn(&Raw) -> Parsed<u32> {
    move |raw| {
        let number = match raw {
            Raw::Whole(number) => Some(*number),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let within = number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number));
        within.ok_or_else(|| {
            let what = number.map_or_else(
                || "is not a whole number".to_owned(),
                |n| format!("{n} is out of range"),
            );
            Fault::new(what, format!("use {} to {}", range.start(), range.end()))
        })
    }
}

/// A share in percent, more than 0 and at most `most`.
pub(super) fn percent(most: f64) -> impl Fn(&Raw) -> Parsed<f64> {
    move |raw| {
        let number = match raw {
            Raw::Whole(number) => i32::try_from(*number).ok().map(f64::from),
            Raw::Fraction(number) => Some(*number),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| *number > 0.0 && *number <= most).ok_or_else(|| {
            Fault::new(
                "is not a share in percent",
                format!("use more than 0 and at most {most}, such as 5 or 2.5"),
            )
        })
    }
}

/// A duration with its unit, within `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Raw) -> Parsed<Duration> {
    move |raw| {
        let remedy = || {
            let [least, most] =
                [range.start(), range.end()].map(|limit| humantime::format_duration(*limit));
            format!("use a number with its unit, such as 30s, 5m or 30d, from {least} to {most}")
        };
        let Raw::Text(text) = raw else {
            return Err(Fault::new("is a number without a unit", remedy()));
        };
        match humantime::parse_duration(text.trim()) {
            Ok(duration) if range.contains(&duration) => Ok(duration),
            Ok(_) => Err(Fault::new(format!("{text:?} is out of range"), remedy())),
            Err(_) => Err(Fault::new(format!("{text:?} is not a duration"), remedy())),
        }
    }
}

/// How often, within `range`, or "off".
pub(super) fn interval(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Raw) -> Parsed<Option<Duration>> {
    let duration = duration(range);
    move |raw| match raw {
        Raw::Text(text) if text.trim() == "off" => Ok(None),
        _ => duration(raw)
            .map(Some)
            .map_err(|Fault { what, remedy }| Fault::new(what, format!("{remedy}, or \"off\""))),
    }
}

/// `true` or `false`.
pub(super) fn truth(raw: &Raw) -> Parsed<bool> {
    match raw {
        Raw::Truth(truth) => Ok(*truth),
        Raw::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Raw::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::new("is neither true nor false", "use true or false")),
    }
}

/// One word of a closed set.
pub(super) fn word<T: Copy>(
    all: &'static [T],
    label: impl Fn(T) -> &'static str,
) -> impl Fn(&Raw) -> Parsed<T> {
    move |raw| {
        let given = some_text(raw)?;
        all.iter().copied().find(|value| label(*value) == given).ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|value| label(*value)).collect();
            Fault::new(
                format!("{given:?} is not one of its words"),
                format!("use {}", words.join(", ")),
            )
        })
    }
}

/// The root of a web service: https, or plain http on this very machine.
pub(super) fn service(raw: &Raw) -> Parsed<Url> {
    let https = || "use https://HOST; plain http is for loopback hosts only";
    let url = Url::parse(some_text(raw)?)
        .map_err(|error| Fault::new(format!("is not a URL: {error}"), https()))?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(Fault::new("carries more than a host and a path", https()));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(Fault::new("would send access tokens in plain text", https())),
        _ => Err(Fault::new("is not a web address", https())),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A secret that may be empty. Neither it nor its shape is ever shown.
pub(super) fn secret(raw: &Raw) -> Parsed<Option<SecretString>> {
    Ok(text(raw)?.map(SecretString::from))
}

/// A path that may be empty. Not shown when refused: people paste secrets here.
pub(super) fn path(raw: &Raw) -> Parsed<Option<PathBuf>> {
    Ok(text(raw)?.map(PathBuf::from))
}

/// A name that other replicas and people read; may be empty.
pub(super) fn name(raw: &Raw) -> Parsed<Option<String>> {
    const BYTES_MAX: usize = 200;
    let name = text(raw)?.map(ToOwned::to_owned);
    match name {
        Some(name) if name.len() > BYTES_MAX || name.chars().any(char::is_control) => {
            Err(Fault::new("is no name", "use up to 200 printable characters"))
        }
        name => Ok(name),
    }
}

/// A GUID that may be empty. Not shown when refused, for the same reason.
pub(super) fn guid(raw: &Raw) -> Parsed<Option<Uuid>> {
    let remedy = "use the form 00000000-0000-0000-0000-000000000000, as the Azure portal shows it";
    let parse = |text| Uuid::parse_str(text).map_err(|_| Fault::new("is not a GUID", remedy));
    text(raw)?.map(parse).transpose()
}

/// Object ids: a list, or text with commas.
pub(super) fn object_ids(raw: &Raw) -> Parsed<Vec<ObjectId>> {
    let items: Vec<&str> = match raw {
        Raw::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
        Raw::List(items) => items.iter().map(some_text).collect::<Result<_, _>>()?,
        _ => {
            return Err(Fault::new(
                "is not a list",
                "use [\"ID\", \"ID\"], or ID,ID in the environment",
            ));
        }
    };
    let parse = |item: &str| {
        ObjectId::from_str(item).map_err(|_| {
            Fault::new(
                format!("{item:?} is not an object id"),
                "use the object ids that the Azure portal shows",
            )
        })
    };
    items.into_iter().map(parse).collect()
}

/// An IANA time zone.
pub(super) fn time_zone(raw: &Raw) -> Parsed<Tz> {
    let name = some_text(raw)?;
    name.parse().map_err(|_| {
        Fault::new(
            format!("{name:?} is not a time zone"),
            "use an IANA name such as UTC, Europe/Berlin, America/New_York or Asia/Tokyo",
        )
    })
}

/// An address to listen on.
pub(super) fn listen(raw: &Raw) -> Parsed<SocketAddr> {
    let given = some_text(raw)?;
    given.parse().map_err(|_| {
        Fault::new(
            format!("{given:?} is not an address with a port"),
            "use ADDRESS:PORT such as 0.0.0.0:8080, 127.0.0.1:8080 or [::]:8080",
        )
    })
}
