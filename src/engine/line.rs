//! Who is next: jobs by age, most of which come and go in that order.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

/// Room for so many is kept when the line has become empty: 1 MiB.
const KEPT: usize = 65_536;

/// Values by their numbers, the smallest first.
///
/// Nearly all come with a number above all others, and go from the front. So they stand in a row, which costs 16 bytes
/// for each and next to no time, where a tree takes 35. One that comes back in between waits in a tree beside the row.
/// One that is taken from the middle leaves a gap; when there are more gaps than values they are closed.
///
/// ```text
/// row:       [ (4, a) (7, –) (8, b) (9, c) ]     neither the first nor the last is a gap
/// returned:  { 5: d }                            next are: a d b c
/// ```
#[derive(Debug)]
pub(crate) struct Line<T> {
    row: VecDeque<(u64, Option<T>)>,
    gaps: usize,
    returned: BTreeMap<u64, T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line {
            row: VecDeque::new(),
            gaps: 0,
            returned: BTreeMap::new(),
        }
    }
}

impl<T> Line<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.row.is_empty() && self.returned.is_empty()
    }

    /// The value with the smallest number.
    pub(crate) fn first(&self) -> Option<(u64, &T)> {
        let row = self.row.front().and_then(|(id, value)| Some((*id, value.as_ref()?)));
        let returned = self.returned.first_key_value().map(|(&id, value)| (id, value));
        sooner(row, returned)
    }

    /// The value with the smallest number above `id` (none: above nothing, the first).
    pub(crate) fn after(&self, id: Option<u64>) -> Option<(u64, &T)> {
        let Some(id) = id else {
            return self.first();
        };
        let from = self.row.partition_point(|(other, _)| *other <= id);
        let row = self
            .row
            .range(from..)
            .find_map(|(id, value)| Some((*id, value.as_ref()?)));
        let returned = self.returned.range(id + 1..).next().map(|(&id, value)| (id, value));
        sooner(row, returned)
    }

    /// The value with this number.
    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        self.returned.get(&id).or_else(|| {
            let index = self.row.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            self.row[index].1.as_ref()
        })
    }

    /// Adds a value; no two of a line have the same number.
    pub(crate) fn insert(&mut self, id: u64, value: T) {
        let ends = self.row.front().zip(self.row.back());
        match ends {
            // The last may be the gap that this very number has left.
            Some((first, last)) if id <= last.0 => {
                if id < first.0 {
                    self.row.push_front((id, Some(value)));
                } else {
                    self.returned.insert(id, value);
                }
            }
            _ => self.row.push_back((id, Some(value))),
        }
    }

    /// Takes the value with the smallest number.
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        let (id, _) = self.first()?;
        self.remove(id)
    }

    /// Takes the value with this number.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        if self.row.front().is_some_and(|(first, _)| *first == id) {
            let (_, value) = self.row.pop_front()?;
            self.tidy();
            return value;
        }
        if let Some(value) = self.returned.remove(&id) {
            return Some(value);
        }
        let index = self.row.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let value = self.row[index].1.take()?;
        self.gaps += 1;
        self.tidy();
        Some(value)
    }

    /// Takes everything, in no particular order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let Line { row, returned, .. } = mem::take(self);
        row.into_iter()
            .filter_map(|(_, value)| value)
            .chain(returned.into_values())
    }

    /// Something of the row has gone: so do gaps at its ends (the value of one at the back would come back behind it,
    /// where its number is found twice), gaps that are too many, and the room of a long line.
    fn tidy(&mut self) {
        while let Some((_, None)) = self.row.front() {
            self.row.pop_front();
            self.gaps -= 1;
        }
        while let Some((_, None)) = self.row.back() {
            self.row.pop_back();
            self.gaps -= 1;
        }
        if self.gaps > self.row.len() / 2 {
            self.row.retain(|(_, value)| value.is_some());
            self.gaps = 0;
        }
        if self.row.is_empty() && self.row.capacity() > KEPT {
            self.row = VecDeque::new();
        }
    }
}

/// Whichever has the smaller number.
fn sooner<'a, T>(a: Option<(u64, &'a T)>, b: Option<(u64, &'a T)>) -> Option<(u64, &'a T)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(ids: impl IntoIterator<Item = u64>) -> Line<u64> {
        let mut line = Line::default();
        ids.into_iter().for_each(|id| line.insert(id, id));
        line
    }

    fn taken(mut line: Line<u64>) -> Vec<u64> {
        std::iter::from_fn(|| line.pop_first()).collect()
    }

    #[test]
    fn whatever_comes_back_has_the_place_of_its_number() {
        let mut line = line([1, 2, 3, 4, 5]);
        for id in [1, 2, 4] {
            assert_eq!(line.remove(id), Some(id));
        }
        assert_eq!(line.first(), Some((3, &3)));
        for id in [4, 2, 1] {
            line.insert(id, id);
        }
        assert_eq!(taken(line), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_youngest_that_comes_back_can_be_taken_again() {
        let mut line = line([1, 2, 3, 4]);
        for _ in 0..2 {
            assert_eq!(line.remove(4), Some(4));
            assert_eq!(line.remove(4), None);
            line.insert(4, 4);
        }
        assert_eq!(taken(line), [1, 2, 3, 4]);
    }

    #[test]
    fn gaps_are_closed_before_they_are_more_than_half() {
        let mut line = line(0..1000);
        for id in (1..1000).rev() {
            assert_eq!(line.remove(id), Some(id));
            assert!(line.gaps * 2 <= line.row.len());
        }
        assert!(line.row.len() <= 2);
        assert_eq!(taken(line), [0]);
    }

    #[test]
    fn an_empty_line_gives_back_the_room_of_a_long_one() {
        let mut line = line(0..100_000);
        while line.pop_first().is_some() {}
        assert!(line.row.capacity() <= KEPT);
    }

    #[test]
    fn the_last_one_may_go_and_come_back() {
        let mut line = line([1, 2, 3]);
        for _ in 0..2 {
            assert_eq!(line.remove(3), Some(3));
            line.insert(3, 3);
        }
        assert_eq!(line.remove(3), Some(3));
        assert_eq!(line.remove(3), None);
        assert_eq!(taken(line), [1, 2]);
    }

    proptest! {
        #[test]
        fn a_line_is_a_tree_as_seen_from_outside(steps in proptest::collection::vec((any::<u8>(), 0u64..40), 0..400)) {
            let (mut line, mut tree) = (Line::default(), BTreeMap::new());
            let mut next = 40;
            for (step, id) in steps {
                match step % 4 {
                    0 => {
                        line.insert(next, next);
                        tree.insert(next, next);
                        next += 1;
                    }
                    1 => prop_assert_eq!(line.pop_first(), tree.pop_first().map(|(_, value)| value)),
                    2 => {
                        let id = next.saturating_sub(id + 1);
                        prop_assert_eq!(line.remove(id), tree.remove(&id));
                    }
                    _ => {
                        let id = next.saturating_sub(id + 1);
                        if tree.insert(id, id).is_none() {
                            line.insert(id, id);
                        }
                    }
                }
                prop_assert_eq!(line.is_empty(), tree.is_empty());
                prop_assert_eq!(line.first(), tree.first_key_value().map(|(&id, value)| (id, value)));
                let after = next.saturating_sub(id);
                prop_assert_eq!(line.after(Some(after)), tree.range(after + 1..).next().map(|(&id, value)| (id, value)));
                prop_assert_eq!(line.get(after), tree.get(&after));
            }
            let mut rest: Vec<u64> = line.drain().collect();
            rest.sort_unstable();
            prop_assert_eq!(rest, tree.into_values().collect::<Vec<_>>());
            prop_assert!(line.is_empty());
        }
    }
}
