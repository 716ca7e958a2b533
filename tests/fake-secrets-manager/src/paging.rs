//! Pages, and the opaque tokens that lead from one to the next.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{ApiError, ApiResult};

/// One page of `items` and the token of the next one.
///
/// A token is good only for the query that it was given for, which `query` identifies.
pub(crate) fn page<T>(
    items: Vec<T>,
    size: usize,
    token: Option<&str>,
    query: impl Hash,
) -> ApiResult<(Vec<T>, Option<String>)> {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    let query = hasher.finish();
    let start = match token {
        None => 0,
        Some(token) => decode(token, query).ok_or_else(ApiError::invalid_next_token)?,
    };
    let total = items.len();
    let page: Vec<T> = items.into_iter().skip(start).take(size).collect();
    let end = start.saturating_add(page.len());
    let next = (end < total).then(|| URL_SAFE_NO_PAD.encode(format!("{query:016x}:{end}")));
    Ok((page, next))
}

fn decode(token: &str, query: u64) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (of, start) = text.split_once(':')?;
    (of == format!("{query:016x}")).then(|| start.parse().ok()).flatten()
}

/// The size asked for, between 1 and `max`, which is also the default.
pub(crate) fn size(asked: Option<i64>, max: usize) -> ApiResult<usize> {
    let Some(asked) = asked else {
        return Ok(max);
    };
    match usize::try_from(asked) {
        Ok(size) if size > max => Err(ApiError::constraint(
            "maxResults",
            format!("have value less than or equal to {max}"),
        )),
        Ok(size) if size > 0 => Ok(size),
        _ => Err(ApiError::constraint("maxResults", "have value greater than or equal to 1")),
    }
}
