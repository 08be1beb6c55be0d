//! How a simulated fleet is run.

/// Largest request body that a fleet takes unless told otherwise: 64 MiB, enough for fifty images in one request.
pub const DEFAULT_MAX_BODY: usize = 64 * 1024 * 1024;

/// Entries that the journal keeps unless told otherwise; about a kilobyte each when they are usual requests.
pub const DEFAULT_JOURNAL_CAPACITY: usize = 100_000;

/// How a fleet is run, as opposed to what it simulates.
///
/// ```
/// # use azure_openai_blaster::sim::FleetSettings;
/// let settings = FleetSettings::new().threads(2).first_port(9100).keep_body(4096);
/// # let _ = settings;
/// ```
#[derive(Clone, Debug)]
pub struct FleetSettings {
    pub(crate) threads: usize,
    pub(crate) first_port: Option<u16>,
    pub(crate) max_body: usize,
    pub(crate) journal_capacity: usize,
    pub(crate) keep_body: usize,
}

impl FleetSettings {
    /// One thread, free ports, a journal of [`DEFAULT_JOURNAL_CAPACITY`] entries without bodies.
    #[must_use]
    pub fn new() -> Self {
        FleetSettings {
            threads: 1,
            first_port: None,
            max_body: DEFAULT_MAX_BODY,
            journal_capacity: DEFAULT_JOURNAL_CAPACITY,
            keep_body: 0,
        }
    }

    /// Threads that serve the sockets; 0 counts as 1, which is the default and enough for tens of thousands of
    /// requests a second.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The first resource listens on this port, the second on the next, and so on. Without it each takes a free one.
    #[must_use]
    pub fn first_port(mut self, port: u16) -> Self {
        self.first_port = Some(port);
        self
    }

    /// Largest request body, in bytes; a larger one is answered 413.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Most entries of the journal; the oldest are dropped for new ones. 0: no journal, only counters.
    #[must_use]
    pub fn journal_capacity(mut self, entries: usize) -> Self {
        self.journal_capacity = entries;
        self
    }

    /// How much of each request's body the journal keeps, in bytes; 0, the default: nothing.
    #[must_use]
    pub fn keep_body(mut self, bytes: usize) -> Self {
        self.keep_body = bytes;
        self
    }
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self::new()
    }
}
