//! The requests of an endpoint that go first.

/// Most that are out at a time to ask whether an endpoint is back: so a healed one is noticed by the youngest while an
/// old one still hangs.
pub(super) const MOST_PROBES: u32 = 3;

/// Those whose heads have not come. One goes first after a failure's rest; where an endpoint is out, or silent, a second
/// and a third may follow while the first is unanswered.
#[derive(Debug, Default)]
pub(super) struct Scouts {
    /// The numbers of their leases, ascending, and whether what they find is of no interest any more.
    out: Vec<(u64, bool)>,
    /// The number of the one that was sent last.
    newest: u64,
}

/// What a request that is over was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum Part {
    /// One of many, or its head came before.
    Follows,
    /// It went first, and others wait for what it has found out.
    Leads,
    /// It went first, and another has found out meanwhile: that this one fails tells about a time before.
    Overtaken,
}

impl Scouts {
    /// One is sent.
    pub(super) fn sent(&mut self, number: u64) {
        self.out.push((number, false));
        self.newest = number;
    }

    /// Whether one that asks whether the endpoint is back may be sent beside those that are out.
    pub(super) fn has_room(&self) -> bool {
        self.leading() < MOST_PROBES as usize
    }

    /// Whether one is out that others wait for.
    pub(super) fn is_led(&self) -> bool {
        self.leading() > 0
    }

    fn leading(&self) -> usize {
        self.out.iter().filter(|(_, overtaken)| !overtaken).count()
    }

    /// Whether it is the one that was sent last.
    pub(super) fn is_newest(&self, number: u64) -> bool {
        self.newest == number
    }

    /// The request with this number is over, or its head has come.
    pub(super) fn take(&mut self, number: u64) -> Part {
        let Some(index) = self.out.iter().position(|(other, _)| *other == number) else {
            return Part::Follows;
        };
        let (_, overtaken) = self.out.remove(index);
        if overtaken { Part::Overtaken } else { Part::Leads }
    }

    /// Something is known that those that are out did not see.
    pub(super) fn overtake(&mut self) {
        self.out.iter_mut().for_each(|(_, overtaken)| *overtaken = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_go_at_a_time_and_those_that_are_overtaken_do_not_count() {
        let mut scouts = Scouts::default();
        for number in [3, 5, 8] {
            assert!(scouts.has_room());
            scouts.sent(number);
        }
        assert!(!scouts.has_room() && scouts.is_newest(8));
        assert_eq!((scouts.take(4), scouts.take(5)), (Part::Follows, Part::Leads));
        scouts.overtake();
        assert!(scouts.has_room() && !scouts.is_led());
        scouts.sent(9);
        assert_eq!((scouts.take(3), scouts.take(9)), (Part::Overtaken, Part::Leads));
        assert_eq!(scouts.take(9), Part::Follows, "it is over only once");
    }
}
