//! What holds where a configuration says nothing.

use std::time::Duration;

/// `num_workers`: worker threads for each deployment.
///
/// A chat completion takes seconds, so that a deployment is kept busy by tens of requests at once; an idle thread
/// costs about 10 KiB.
pub const WORKERS_PER_DEPLOYMENT: usize = 64;

/// `num_workers`: most worker threads that are started without being asked for.
pub const WORKERS_AT_MOST: usize = 1024;

/// `max_job_retry`: failed attempts after which a job is given up; the Python original's value.
pub const MAX_JOB_RETRY: u32 = 5;

/// `queue_capacity`: jobs that wait before a submitter has to.
pub const QUEUE_CAPACITY: usize = 100_000;

/// `auto_disable_threshold`: consecutive failures that take an endpoint out; the Python original's value.
pub const AUTO_DISABLE_THRESHOLD: u32 = 5;

/// `connect_timeout_s`: name resolution, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `first_byte_timeout_s`: a reasoning model may think for minutes before its first byte, or behind the first frames of
/// a stream; the vendor's own SDK waits for ten.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);

/// `idle_timeout_s`: silence after the first content.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// `attempt_timeout_s`: one request from connecting to the last byte.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(600);

/// `cooldown_max_s`: the longest Retry-After that is waited for.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(3600);

/// `weight` of a deployment.
pub const WEIGHT: u32 = 1;

/// `priority` of a deployment.
pub const PRIORITY: u32 = 1;

/// `quota_window_s`: the vendor states token limits by the minute and counts them so.
pub const QUOTA_WINDOW: Duration = Duration::from_secs(60);

/// `request_window_s`: the vendor states request limits by the minute and counts them in windows of 1 or 10 seconds.
pub const REQUEST_WINDOW: Duration = Duration::from_secs(10);

/// `api_version` of a deployment; the Python original's value.
pub const API_VERSION: &str = "2025-01-01-preview";

/// `token_scope` of the v1 surface and of Foundry resources. Source: Microsoft, v1 samples and troubleshooting page.
pub const SCOPE: &str = "https://ai.azure.com/.default";

/// `token_scope` of dated versions of the API. Source: the same, and the service's own 401.
pub const DATED_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
