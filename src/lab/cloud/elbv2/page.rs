//! `Marker` and `PageSize`.

use super::super::form::Form;
use super::super::refusal::Refusal;

/// The range of `PageSize`.
const PAGE_MAX: usize = 400;

/// One page of `items`, and the marker of the next.
pub(super) fn page<T>(items: Vec<T>, form: &Form) -> Result<(Vec<T>, Option<String>), Refusal> {
    let size = form.number::<usize>("PageSize")?.unwrap_or(PAGE_MAX);
    if size == 0 || size > PAGE_MAX {
        return Err(Refusal::invalid(format!("'{size}' at 'pageSize' must be between 1 and {PAGE_MAX}")));
    }
    let from = match form.get("Marker") {
        None | Some("") => 0,
        Some(marker) => marker
            .strip_prefix("lab-")
            .and_then(|n| n.parse::<usize>().ok())
            .ok_or_else(|| Refusal::invalid(format!("Invalid marker '{marker}'")))?,
    };
    let next = (items.len() > from.saturating_add(size)).then(|| format!("lab-{}", from + size));
    Ok((items.into_iter().skip(from).take(size).collect(), next))
}
