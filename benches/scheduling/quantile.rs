//! One figure for many.

/// The value that the part `q` of them does not exceed.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * q) as usize;
    values.get(index).copied().unwrap_or(0.0)
}
