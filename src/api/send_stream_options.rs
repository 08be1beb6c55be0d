//! Whether a deployment is sent `stream_options`.

/// Whether a deployment is sent `stream_options`, by which a stream brings its usage: some refuse it with 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendStreamOptions {
    /// Those of the request; where a streamed chat has none, its usage is asked for.
    #[default]
    Auto,
    /// None, not the request's own either; a stream then tells no usage.
    Never,
}
