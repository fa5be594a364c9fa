//! The query options of a URL. It owns their spelling and limits; it must not touch tokens, which stay exactly as
//! they were received.

use percent_encoding::percent_decode_str;

use super::filter::Filter;
use super::problem::Problem;

/// The options this simulator understands; others are ignored in silence, as the real service often does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Option<Vec<String>>,
    pub(crate) top: Option<usize>,
    pub(crate) filter: Option<Filter>,
    pub(crate) count: bool,
    pub(crate) skip_token: Option<String>,
    pub(crate) delta_token: Option<String>,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self, Problem> {
        let mut query = Self::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
            match option_name(name).as_str() {
                "select" => query.select = Some(list(&decode(raw_value))),
                "top" => query.top = Some(number(&decode(raw_value))?),
                "filter" => query.filter = Some(Filter::parse(&decode(raw_value))?),
                "count" => query.count = decode(raw_value).eq_ignore_ascii_case("true"),
                "skiptoken" => query.skip_token = Some(raw_value.to_owned()),
                "deltatoken" => query.delta_token = Some(raw_value.to_owned()),
                "skip" => {
                    return Err(Problem::bad_request("'$skip' is not supported by the service."));
                }
                _ => {}
            }
        }
        if query.skip_token.is_some() && query.delta_token.is_some() {
            return Err(Problem::bad_request("'$skiptoken' and '$deltatoken' cannot be combined."));
        }
        Ok(query)
    }
}

/// The query without its page token, as received, for the link to the next page.
pub(crate) fn without_page_token(raw: &str) -> String {
    let kept = raw.split('&').filter(|pair| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !pair.is_empty() && option_name(name) != "skiptoken"
    });
    kept.collect::<Vec<_>>().join("&")
}

/// `%24Select` → `select`: the dollar sign and the case do not matter.
fn option_name(raw: &str) -> String {
    decode(raw).trim_start_matches('$').to_ascii_lowercase()
}

/// Decodes a value other than a token; a plus sign is a blank.
pub(crate) fn decode(raw: &str) -> String {
    percent_decode_str(&raw.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn number(value: &str) -> Result<usize, Problem> {
    let parsed = value.trim().parse().ok().filter(|top| *top > 0);
    parsed.ok_or_else(|| Problem::bad_request(format!("Invalid page size specified: '{value}'.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_options_are_understood_and_tokens_stay_raw() {
        let query =
            Query::parse("%24select=id%2CdisplayName&$top=5&$skiptoken=a+b%2B/c").expect("valid");
        assert_eq!(query.select, Some(vec!["id".to_owned(), "displayName".to_owned()]));
        assert_eq!(query.top, Some(5));
        assert_eq!(query.skip_token.as_deref(), Some("a+b%2B/c"));
        assert_eq!(without_page_token("$select=id&%24skiptoken=x&$top=5"), "$select=id&$top=5");
    }

    #[test]
    fn impossible_options_are_refused() {
        for raw in [
            "$top=0",
            "$top=x",
            "$skip=3",
            "$skiptoken=a&$deltatoken=b",
            "$filter=displayName%20like%20'x'",
        ] {
            assert!(Query::parse(raw).is_err(), "{raw}");
        }
    }
}
