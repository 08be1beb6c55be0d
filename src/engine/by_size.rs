//! The oldest values of a line by their sizes, so that what is left of a quota finds the largest job that fits.

use std::collections::BTreeSet;

use super::line::Line;

/// An index of the oldest values of a [`Line`]. Empty, and free of cost, until somebody asks.
///
/// ```text
/// line:   [ 4 7 8 9 | 12 13 … ]      until = 9: whoever has a number up to that is in the index
/// index:  { (300, 8) (1200, 4) (1250, 9) (9000, 7) }
/// ```
///
/// By what sizes are ordered is `S`: tokens, or the class of a job and then tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct BySize<S: Ord = u32> {
    /// Sizes, and the numbers of their values.
    sizes: BTreeSet<(S, u64)>,
    /// All values with a number up to this one are in.
    until: Option<u64>,
}

impl<S: Copy + Default + Ord> BySize<S> {
    /// Fills the index with the oldest values of `line`, up to so many.
    pub(super) fn fill<T>(&mut self, line: &Line<T>, most: usize, size: impl Fn(&T) -> S) {
        while self.sizes.len() < most {
            let Some((id, value)) = line.after(self.until) else {
                return;
            };
            self.sizes.insert((size(value), id));
            self.until = Some(id);
        }
    }

    /// A value has come into the line.
    pub(super) fn came(&mut self, id: u64, size: S) {
        if self.covers(id) {
            self.sizes.insert((size, id));
        }
    }

    /// A value has left the line.
    pub(super) fn went(&mut self, id: u64, size: S) {
        if self.covers(id) {
            self.sizes.remove(&(size, id));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = BySize::default();
    }

    /// The numbers of those in the index, the smallest first.
    pub(super) fn smallest(&self) -> impl Iterator<Item = u64> {
        self.sizes.iter().map(|&(_, id)| id)
    }

    /// Whether there were fewer values than so many when it was filled.
    pub(super) fn holds_less_than(&self, most: usize) -> bool {
        self.sizes.len() < most
    }

    /// Whether this number is among those of the oldest.
    pub(super) fn covers(&self, id: u64) -> bool {
        self.until.is_some_and(|until| id <= until)
    }
}

impl BySize {
    /// The numbers of those in the index, the largest that is no larger than `most` first.
    pub(super) fn largest(&self, most: u32) -> impl Iterator<Item = u64> {
        self.sizes.range(..=(most, u64::MAX)).rev().map(|&(_, id)| id)
    }
}

impl BySize<(u8, u32)> {
    /// The first class after `last` of which there is somebody.
    pub(super) fn class_after(&self, last: Option<u8>) -> Option<u8> {
        let first = last.map_or(Some(0), |last| last.checked_add(1))?;
        self.sizes.range(((first, 0), 0)..).next().map(|&((class, _), _)| class)
    }

    /// The numbers of those of a class, the smallest first; or, backwards, the largest.
    pub(super) fn of_class(&self, class: u8) -> impl DoubleEndedIterator<Item = u64> {
        let all = ((class, 0), 0)..=((class, u32::MAX), u64::MAX);
        self.sizes.range(all).map(|&(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_that_fits_is_found_among_the_oldest() {
        let mut line = Line::default();
        for (id, size) in (0..).zip([50u32, 10, 40, 20, 30, 35]) {
            line.insert(id, size);
        }
        let mut index = BySize::default();
        index.fill(&line, 4, |size| *size);
        assert_eq!(
            index.largest(35).collect::<Vec<_>>(),
            [3, 1],
            "the fifth and sixth are too young"
        );
        assert_eq!(index.smallest().collect::<Vec<_>>(), [1, 3, 2, 0]);
        line.remove(3);
        index.went(3, 20);
        index.fill(&line, 4, |size| *size);
        assert_eq!(index.largest(35).collect::<Vec<_>>(), [4, 1]);
    }

    #[test]
    fn nothing_is_kept_before_somebody_asks() {
        let mut index = BySize::default();
        index.came(1, 10);
        index.went(1, 10);
        assert_eq!(index.smallest().count(), 0);
    }

    proptest! {
        #[test]
        fn the_index_holds_what_a_look_at_the_line_would_find(
            steps in proptest::collection::vec((0u8..4, 0u64..60), 0..300),
        ) {
            let size = |id: u64| (id as u32).wrapping_mul(2_654_435_761) % 50;
            let (mut line, mut index) = (Line::default(), BySize::default());
            let mut away = Vec::new();
            let mut next = 0;
            for (step, pick) in steps {
                match step {
                    0 | 1 => {
                        line.insert(next, size(next));
                        index.came(next, size(next));
                        next += 1;
                    }
                    2 => {
                        let id = pick % (next + 1);
                        if line.remove(id).is_some() {
                            index.went(id, size(id));
                            away.push(id);
                        }
                    }
                    _ => if let Some(id) = away.pop() {
                        line.insert(id, size(id));
                        index.came(id, size(id));
                    }
                }
                index.fill(&line, 8, |size| *size);
                let mut oldest = Vec::new();
                let mut after = None;
                while let Some((id, &size)) = line.after(after) {
                    oldest.push((size, id));
                    after = Some(id);
                }
                // What came back may have made it longer than was asked for; it is always the oldest, and all of them.
                oldest.truncate(index.sizes.len());
                prop_assert!(index.sizes.len() >= 8.min(oldest.len()));
                oldest.sort_unstable();
                prop_assert_eq!(index.sizes.iter().copied().collect::<Vec<_>>(), oldest);
            }
        }
    }
}
