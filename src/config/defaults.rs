//! The values of settings that a configuration does not set.

use std::time::Duration;

/// `num_workers`: 64 worker threads for each deployment.
///
/// A chat completion takes seconds, so that a deployment is kept busy by tens of requests at once; an idle thread
/// costs about 10 KiB.
pub const WORKERS_PER_DEPLOYMENT: usize = 64;

/// `num_workers`: at most 1,024 worker threads, unless the configuration asks for more.
pub const WORKERS_AT_MOST: usize = 1024;

/// `max_job_retry`: 5 failed attempts, the first one included, after which a job is given up; the Python original's value.
pub const MAX_JOB_RETRY: u32 = 5;

/// `queue_capacity`: 100,000 jobs may wait; a submitter waits while there are as many.
pub const QUEUE_CAPACITY: usize = 100_000;

/// `auto_disable_threshold`: 5 consecutive failures eject an endpoint; the Python original's value.
pub const AUTO_DISABLE_THRESHOLD: u32 = 5;

/// `connect_timeout_s`: 5 s for name resolution, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `first_byte_timeout_s`: 600 s. A reasoning model may think for minutes before its first byte, or behind the first frames
/// of a stream; the vendor's own SDK waits for ten minutes.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);

/// `idle_timeout_s`: 60 s of silence after the first content.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// `attempt_timeout_s`: 600 s for one request from connecting to the last byte.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(600);

/// `cooldown_max_s`: 3,600 s, the longest Retry-After that is waited for.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(3600);

/// `weight` of a deployment.
pub const WEIGHT: u32 = 1;

/// `priority` of a deployment: the first tier.
pub const PRIORITY: u32 = 1;

/// `quota_window_s`: 60 s. The vendor states token limits by the minute and counts them so.
pub const QUOTA_WINDOW: Duration = Duration::from_secs(60);

/// `request_window_s`: 10 s. The vendor states request limits by the minute and counts them in windows of 1 or 10 seconds.
pub const REQUEST_WINDOW: Duration = Duration::from_secs(10);

/// `api_version` of a deployment; the Python original's value.
pub const API_VERSION: &str = "2025-01-01-preview";

/// `token_scope` of the v1 surface and of Foundry resources, by Microsoft's samples for v1 and its page on troubleshooting.
pub const SCOPE: &str = "https://ai.azure.com/.default";

/// `token_scope` of dated versions of the API, by the same pages and the service's own 401.
pub const DATED_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
