//! Reading a long list page by page.

use ics_core::failure::Failure;

use crate::wire::base::{PageRequest, PageResponse};

/// A page with an explicit size: without one the node reads and counts everything.
pub(super) fn page(key: Vec<u8>, limit: u64) -> PageRequest {
    PageRequest {
        key,
        limit,
        ..PageRequest::default()
    }
}

/// Where the next page starts. Keys are of a store and must rise, or the pages would never end.
pub(super) fn next_page(
    path: &str,
    key: &[u8],
    answer: Option<PageResponse>,
) -> Result<Option<Vec<u8>>, Failure> {
    let next = answer.unwrap_or_default().next_key;
    if next.is_empty() {
        return Ok(None);
    }
    if next.as_slice() <= key {
        return Err(Failure::transient(format!(
            "{path}: the node's pages go in a circle"
        )));
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_and_never_go_back() {
        let answer = |next_key: &[u8]| {
            Some(PageResponse {
                next_key: next_key.to_vec(),
                total: 0,
            })
        };
        assert_eq!(next_page("p", b"", None), Ok(None));
        assert_eq!(next_page("p", b"a", answer(b"")), Ok(None));
        assert_eq!(next_page("p", b"a", answer(b"b")), Ok(Some(b"b".to_vec())));
        assert!(next_page("p", b"b", answer(b"b")).is_err());
        assert!(next_page("p", b"b", answer(b"a")).is_err());
    }
}
